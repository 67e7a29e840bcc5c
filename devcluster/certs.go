package main

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"time"

	certificates "k8s.io/api/certificates/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/kubernetes/pkg/controller/certificates/authority"
)

// Files below the cluster's directory. Keys and the CA are made once; certificates are issued anew at each start.
const (
	caCert            = "pki/ca.crt"
	caKey             = "pki/ca.key"
	serverCert        = "pki/apiserver.crt"
	serverKey         = "pki/apiserver.key"
	kubeletClientCert = "pki/apiserver-kubelet-client.crt"
	kubeletClientKey  = "pki/apiserver-kubelet-client.key"
	serviceAccountKey = "pki/service-account.key"
)

// certTTL is how long certificates are valid; a cluster that runs for longer must be restarted.
const certTTL = 365 * 24 * time.Hour

// certAuthority issues the certificates of one cluster.
type certAuthority struct {
	authority.CertificateAuthority
	pem []byte // the CA's own certificate
}

// keyPair is a certificate and its private key, both PEM.
type keyPair struct{ cert, key []byte }

// preparePKI loads the CA in dir, or makes one, and writes the API server's certificates, as a server and as a client of kubelets, and the
// key for ServiceAccount tokens.
func preparePKI(dir string) (*certAuthority, error) {
	ca, err := loadAuthority(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot prepare the certificate authority in %s: %w", dir, err)
	}
	if _, _, err := keyutil.LoadOrGenerateKeyFile(filepath.Join(dir, serviceAccountKey)); err != nil {
		return nil, fmt.Errorf("cannot prepare the key of ServiceAccount tokens: %w", err)
	}
	server, err := ca.issueServer()
	if err != nil {
		return nil, fmt.Errorf("cannot issue the API server's certificate: %w", err)
	}
	if err := server.write(dir, serverCert, serverKey); err != nil {
		return nil, err
	}
	client, err := ca.issueClient("kube-apiserver-kubelet-client")
	if err != nil {
		return nil, fmt.Errorf("cannot issue the API server's certificate for kubelets: %w", err)
	}
	return ca, client.write(dir, kubeletClientCert, kubeletClientKey)
}

// write writes the pair to files below dir.
func (p keyPair) write(dir, certFile, keyFile string) error {
	if err := cert.WriteCert(filepath.Join(dir, certFile), p.cert); err != nil {
		return err
	}
	return keyutil.WriteKey(filepath.Join(dir, keyFile), p.key)
}

func loadAuthority(dir string) (*certAuthority, error) {
	data, _, err := keyutil.LoadOrGenerateKeyFile(filepath.Join(dir, caKey))
	if err != nil {
		return nil, err
	}
	key, err := signer(data)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, caCert)
	certs, err := cert.CertsFromFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var made *x509.Certificate
		if made, err = cert.NewSelfSignedCACert(cert.Config{CommonName: "devcluster"}, key); err != nil {
			return nil, err
		}
		certs = []*x509.Certificate{made}
	}
	if err != nil {
		return nil, err
	}
	encoded, err := cert.EncodeCertificates(certs...)
	if err != nil {
		return nil, err
	}
	ca := &certAuthority{CertificateAuthority: authority.CertificateAuthority{Certificate: certs[0], PrivateKey: key}, pem: encoded}
	return ca, cert.WriteCert(path, encoded)
}

// issueServer issues a certificate for every name under which clients reach the API server.
func (ca *certAuthority) issueServer() (keyPair, error) {
	names := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	addresses := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	return ca.issue(certificates.UsageServerAuth, pkix.Name{CommonName: "kube-apiserver"}, names, addresses)
}

// issueClient issues a certificate for a user of the group system:masters.
func (ca *certAuthority) issueClient(user string) (keyPair, error) {
	return ca.issue(certificates.UsageClientAuth, pkix.Name{CommonName: user, Organization: []string{"system:masters"}}, nil, nil)
}

func (ca *certAuthority) issue(usage certificates.KeyUsage, subject pkix.Name, names []string, ips []net.IP) (keyPair, error) {
	keyPEM, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return keyPair{}, err
	}
	key, err := signer(keyPEM)
	if err != nil {
		return keyPair{}, err
	}
	request, err := cert.MakeCSR(key, &subject, names, ips)
	if err != nil {
		return keyPair{}, err
	}
	block, _ := pem.Decode(request)
	der, err := ca.Sign(block.Bytes, authority.PermissiveSigningPolicy{
		TTL:      certTTL,
		Backdate: time.Minute,
		Usages:   []certificates.KeyUsage{certificates.UsageDigitalSignature, usage},
	})
	if err != nil {
		return keyPair{}, err
	}
	return keyPair{cert: pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: der}), key: keyPEM}, nil
}

func signer(keyPEM []byte) (crypto.Signer, error) {
	key, err := keyutil.ParsePrivateKeyPEM(keyPEM)
	if err != nil {
		return nil, err
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return s, nil
}
