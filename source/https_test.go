package source_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// issue returns a certificate for a client, signed by itself, and its key, in PEM.
func issue(t *testing.T) (certificate, key []byte, parsed *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kilter"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), parsed
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	certificate, key, parsed := issue(t)
	otherCertificate, otherKey, _ := issue(t)
	front := httptest.NewUnstartedServer(o.server)
	front.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	front.TLS.ClientCAs.AddCert(parsed)
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	o.url = front.URL + "/team.git"
	trust := source.Credentials{CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})}
	with := func(certificate, key []byte) *opened {
		given := trust
		given.Certificate, given.Key = certificate, key
		return o.open(source.Options{Credentials: credentials(given)})
	}
	with(certificate, key).fetch()
	with(nil, nil).refused(source.AuthenticationFailed, "give a client certificate")
	with(otherCertificate, otherKey).refused(source.AuthenticationFailed, "does not accept the client certificate")
	with(certificate, nil).refused(source.InvalidCredentials, "only one is given")
	with(certificate, otherKey).refused(source.InvalidCredentials, "does not match")
	with([]byte(canary), []byte(canary)).refused(source.InvalidCredentials, "in PEM")
}

func TestProxy(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	front := httptest.NewTLSServer(o.server)
	t.Cleanup(front.Close)
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	proxy := gitserver.StartProxy("p", canary)
	t.Cleanup(proxy.Close)
	address := proxy.URL
	through := func(proxy source.Proxy) *opened {
		return o.open(source.Options{
			URL:         front.URL + "/team.git",
			Credentials: credentials(source.Credentials{CABundle: bundle, Proxy: proxy}),
		})
	}
	through(source.Proxy{Address: address, Username: "p", Password: canary}).fetch()
	if proxy.Tunnels.Load() == 0 {
		t.Error("the proxy was not used")
	}
	through(source.Proxy{Address: address}).refused(source.AuthenticationFailed, "the proxy does not know us (407)")
	through(source.Proxy{Address: address, Username: "p", Password: canary + "x"}).refused(source.AuthenticationFailed, "407")
	through(source.Proxy{Address: "http://127.0.0.1:1"}).refused(source.Unreachable, "cannot connect to the proxy", "refused")
	through(source.Proxy{Address: "ftp://127.0.0.1:1"}).refused(source.InvalidCredentials, "protocol is not supported")
	through(source.Proxy{Address: "http://p:" + canary + "@127.0.0.1:1"}).refused(source.InvalidCredentials, "carries credentials")
	through(source.Proxy{Address: "http://p:" + canary + "%zz@x"}).refused(source.InvalidCredentials, "is malformed")
	front.Close()
	through(source.Proxy{Address: address, Username: "p", Password: canary}).refused(source.Unreachable, "does not connect to the server (502)")
}

// A server that names a time is left alone until then.
func TestG6RetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		status int
		header string
		rest   time.Duration
	}{
		"429, seconds":  {429, "120", 2 * time.Minute},
		"503, seconds":  {503, "7", 7 * time.Second},
		"503, too long": {503, "86400", 10 * time.Minute},
		"429, no time":  {429, "", 0},
		"429, nonsense": {429, "soon " + canary, 0},
		"429, negative": {429, "-1", 0},
		"404 has none":  {404, "120", 0},
	} {
		t.Run(name, func(t *testing.T) {
			clock, asked := now, 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Retry-After", c.header)
				w.WriteHeader(c.status)
			}))
			t.Cleanup(server.Close)
			r := (&origin{T: t, url: server.URL + "/team.git"}).open(source.Options{Clock: func() time.Time { return clock }})
			fetch := func() string {
				_, err := r.Fetch(t.Context())
				return err.Error()
			}
			first := fetch()
			if c.rest > 0 && !strings.Contains(first, "left alone until "+now.Add(c.rest).Format(time.RFC3339)) {
				t.Errorf("the error does not say when it is tried again: %s", first)
			}
			if clock = now.Add(c.rest - time.Millisecond); c.rest > 0 && fetch() != first {
				t.Error("the error changed meanwhile")
			}
			if c.rest > 0 && asked != 1 {
				t.Errorf("asked %d times before the time that the server named", asked)
			}
			if clock = now.Add(c.rest); fetch() == "" || asked != 2 {
				t.Errorf("asked %d times; want a second time after %s", asked, c.rest)
			}
		})
	}
}

// What a server sends is nowhere repeated, whichever way the credentials go out.
func TestCredentialsArePrintedAsTheirKind(t *testing.T) {
	t.Parallel()
	secret := []byte(canary)
	for want, c := range map[string]source.Credentials{
		"user name and password": {Username: "u", Password: canary},
		"bearer token":           {BearerToken: canary},
		"SSH key":                {Identity: secret, KnownHosts: secret},
		"client certificate":     {Certificate: secret, Key: secret},
		"none":                   {Proxy: source.Proxy{Address: "http://" + canary, Password: canary}},
	} {
		var all bytes.Buffer
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			fmt.Fprintf(&all, format+" ", c)
			fmt.Fprintf(&all, format+" ", c.Proxy)
		}
		if !strings.HasPrefix(all.String(), want+" ") || strings.Contains(all.String(), canary) {
			t.Errorf("printed as %s; want %s", all.String(), want)
		}
	}
}
