package source

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// wire is the HTTP below go-git for one attempt. go-git turns many errors into text; the wire remembers the first thing
// that went wrong as it was, refuses answers that are no Git before go-git reads them, and caps what is read.
//
// No connection outlives the attempt: close ends them all.
type wire struct {
	base   *http.Transport
	limits Limits

	mu      sync.Mutex
	failure error
}

// What the wire itself refuses; everything else that it remembers comes from net/http.
type (
	statusError   struct{ code int }
	redirectError struct{ host string }
	notGitError   struct{ contentType string }
	capError      struct {
		what  string
		limit int64
	}
)

func (e *statusError) Error() string   { return fmt.Sprintf("the server answered %d", e.code) }
func (e *redirectError) Error() string { return "the server redirects to another host" }
func (e *notGitError) Error() string   { return "the server's answer is not Git" }
func (e *capError) Error() string      { return fmt.Sprintf("%s is longer than %d bytes", e.what, e.limit) }

func newWire(credentials Credentials, limits Limits) (*wire, *Error) {
	if credentials.BearerToken != "" && (credentials.Username != "" || credentials.Password != "") {
		return nil, fail(InvalidCredentials, "keep one of the two", "both a bearer token and a user name or password are given")
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(credentials.CABundle) > 0 {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(credentials.CABundle) {
			return nil, fail(InvalidCredentials, "give one or more PEM blocks of type CERTIFICATE", "the CA bundle holds no certificate")
		}
	}
	return &wire{
		limits: limits,
		base: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        tlsConfig,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}, nil
}

// close ends every connection of the attempt.
func (w *wire) close() { w.base.CloseIdleConnections() }

// session returns a go-git session with the server over this wire.
func (w *wire) session(endpoint transport.Endpoint, auth transport.AuthMethod) (transport.UploadPackSession, error) {
	client := githttp.NewClient(&http.Client{Transport: w, CheckRedirect: w.checkRedirect})
	return client.NewUploadPackSession(&endpoint, auth)
}

// checkRedirect allows a redirect within the host, and from http to https on it; go-git allows it for listing refs only.
func (w *wire) checkRedirect(next *http.Request, via []*http.Request) error {
	from, to := via[0].URL, next.URL
	upgraded := from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == ""
	same := from.Scheme == to.Scheme && strings.EqualFold(from.Host, to.Host)
	if !same && !(upgraded && strings.EqualFold(from.Hostname(), to.Hostname())) {
		return w.remember(&redirectError{host: to.Host})
	}
	return nil
}

// RoundTrip sends one request. Only answers that are Git, and redirects, come back without an error.
func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.base.RoundTrip(request)
	if err != nil {
		return nil, w.remember(err)
	}
	what, wanted, limit := "the list of refs", "application/x-git-upload-pack-advertisement", w.limits.RefBytes
	if request.Method == http.MethodPost {
		what, wanted, limit = "the pack", "application/x-git-upload-pack-result", w.limits.PackBytes
	}
	contentType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		_ = response.Body.Close()
		response.Body = http.NoBody
		return response, nil
	case response.StatusCode != http.StatusOK:
		err = &statusError{code: response.StatusCode}
	case contentType != wanted:
		err = &notGitError{contentType: cmp.Or(contentType, "an unknown type")}
	default:
		response.Body = &cappedBody{ReadCloser: response.Body, wire: w, left: limit, over: capError{what: what, limit: limit}}
		return response, nil
	}
	// The body is never read: it may be a page, a trap, or an echo of the credentials.
	_ = response.Body.Close()
	return nil, w.remember(err)
}

func (w *wire) remember(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failure == nil {
		w.failure = err
	}
	return err
}

// forget drops what went wrong, before the same attempt tries another way.
func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = nil
}

// failed returns the first thing that went wrong, or nil.
func (w *wire) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

// cappedBody ends with an error once more has been read than is allowed.
type cappedBody struct {
	io.ReadCloser
	wire *wire
	left int64
	over capError
}

func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, b.left, err = n+int(b.left), 0, &b.over
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.wire.remember(err)
	}
	return n, err
}
