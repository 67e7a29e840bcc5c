package source

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh"
)

// Credentials are what one attempt to fetch authenticates with. The zero value is anonymous.
type Credentials struct {
	// Username and Password are for HTTP basic authentication; a token is mostly given as the password. Over SSH Password is the
	// passphrase of Identity, and Username has no use: the URL names the user.
	Username, Password string

	BearerToken string // HTTP bearer authentication; excludes the two above
	CABundle    []byte // PEM certificates to trust instead of the system's

	Certificate, Key []byte // HTTPS: a client certificate, with its chain, and its private key, in PEM

	Proxy Proxy // HTTP: the proxy to go through; HTTPS_PROXY and its kin of the environment when zero

	Identity   []byte // SSH: a private key, as ssh-keygen writes it (ed25519, rsa, ecdsa)
	PublicKey  []byte // SSH: its public half, or a certificate of it, as one line; may be empty
	KnownHosts []byte // SSH: the server's keys, as in ~/.ssh/known_hosts; without them nothing is connected to
}

// Proxy is an HTTP proxy, and how to authenticate to it.
type Proxy struct {
	Address            string // http://, https:// or socks5://, with a port where it is not the usual one
	Username, Password string
}

// String tells nothing, for the address may hold a password too.
func (p Proxy) String() string { return "proxy" }

// GoString is String.
func (p Proxy) GoString() string { return p.String() }

// String says which kind of credentials these are and nothing of what is in them.
func (c Credentials) String() string {
	switch {
	case c.BearerToken != "":
		return "bearer token"
	case len(c.Identity) > 0:
		return "SSH key"
	case c.Username != "" || c.Password != "":
		return "user name and password"
	case len(c.Certificate) > 0:
		return "client certificate"
	}
	return "none"
}

// GoString is String, so that %#v gives nothing away either.
func (c Credentials) GoString() string { return c.String() }

// spellings returns every form in which a server might echo the secrets: plain, quoted and as they travel.
func (c Credentials) spellings() []string {
	var all []string
	for _, secret := range []string{c.Password, c.BearerToken, c.Proxy.Password} {
		if secret != "" {
			all = append(all, secret, strings.Trim(strconv.Quote(secret), `"`), url.QueryEscape(secret), url.PathEscape(secret))
		}
	}
	return append(all, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)),
		base64.StdEncoding.EncodeToString([]byte(c.Proxy.Username+":"+c.Proxy.Password)))
}

// auth returns what go-git adds to each request.
func (c Credentials) auth() transport.AuthMethod {
	switch {
	case c.BearerToken != "":
		return &githttp.TokenAuth{Token: c.BearerToken}
	case c.Username != "" || c.Password != "":
		return &githttp.BasicAuth{Username: c.Username, Password: c.Password}
	}
	return nil
}

// tlsConfig returns what to trust and what to show.
func (c Credentials) tlsConfig() (*tls.Config, *Error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CABundle) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.CABundle) {
			return nil, fail(InvalidCredentials, "give one or more PEM blocks of type CERTIFICATE", "the CA bundle holds no certificate")
		}
	}
	switch {
	case len(c.Certificate) == 0 && len(c.Key) == 0:
		return config, nil
	case len(c.Certificate) == 0 || len(c.Key) == 0:
		return nil, fail(InvalidCredentials, "give both or neither", "of a client certificate and its key only one is given")
	}
	pair, err := tls.X509KeyPair(c.Certificate, c.Key)
	if err != nil {
		return nil, fail(InvalidCredentials, "give both in PEM, the certificate before its chain",
			"the client certificate and its key cannot be used: %s", printable(err.Error()))
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}

// proxy returns how to find the proxy for a request.
func (c Credentials) proxy() (func(*http.Request) (*url.URL, error), *Error) {
	const give = "give it as http://proxy.example.com:3128, and user name and password beside it"
	if c.Proxy == (Proxy{}) {
		return http.ProxyFromEnvironment, nil
	}
	address, err := url.Parse(c.Proxy.Address)
	switch {
	case err != nil || address.Hostname() == "":
		return nil, fail(InvalidCredentials, give, "the proxy's address is malformed")
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, address.Scheme):
		return nil, fail(InvalidCredentials, give, "the proxy's protocol is not supported")
	case address.User != nil:
		return nil, fail(InvalidCredentials, give, "the proxy's address carries credentials")
	}
	if c.Proxy.Username != "" || c.Proxy.Password != "" {
		address.User = url.UserPassword(c.Proxy.Username, c.Proxy.Password)
	}
	return http.ProxyURL(address), nil
}

// signer returns the SSH key. What cannot be read is never quoted.
func (c Credentials) signer() (ssh.Signer, *Error) {
	if len(bytes.TrimSpace(c.Identity)) == 0 {
		return nil, fail(InvalidCredentials, "give a private key as identity, and the server's known_hosts",
			"an ssh URL needs an SSH key and none is given")
	}
	signer, err := ssh.ParsePrivateKey(c.Identity)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		if c.Password == "" {
			return nil, fail(InvalidCredentials, "give its passphrase as password", "the SSH key is encrypted and no passphrase is given")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(c.Identity, []byte(c.Password)); errors.Is(err, x509.IncorrectPasswordError) {
			return nil, fail(InvalidCredentials, "give the right one as password", "the passphrase does not open the SSH key")
		}
	}
	if err != nil {
		return nil, fail(InvalidCredentials, "give it as ssh-keygen writes it, from the BEGIN line to the END line",
			"the SSH key cannot be read")
	}
	if len(bytes.TrimSpace(c.PublicKey)) == 0 {
		return signer, nil
	}
	return c.certified(signer)
}

// certified checks that the public half belongs to the key, and uses it when it is a certificate.
func (c Credentials) certified(signer ssh.Signer) (ssh.Signer, *Error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey(c.PublicKey)
	if err != nil {
		return nil, fail(InvalidCredentials, "give it as one line, as ssh-keygen writes it, or leave it out", "identity.pub cannot be read")
	}
	if certificate, ok := public.(*ssh.Certificate); ok {
		if signer, err = ssh.NewCertSigner(certificate, signer); err == nil {
			return signer, nil
		}
	} else if bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		return signer, nil
	}
	return nil, fail(InvalidCredentials, "give the public half of the same key, or leave it out", "identity.pub is of another key than identity")
}
