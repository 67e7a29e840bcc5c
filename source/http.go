package source

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// httpWire is the HTTP below go-git for one attempt. It refuses answers that are no Git before go-git reads them.
type httpWire struct {
	memory
	base    *http.Transport
	limits  Limits
	session transport.UploadPackSession
}

// What the wire itself refuses; everything else that it remembers comes from net/http.
type (
	statusError struct {
		code  int
		after time.Duration // when to come back, as the server says; zero when it does not
	}
	proxyError    struct{ code int } // what the proxy says instead of connecting
	redirectError struct{ host string }
	notGitError   struct{ contentType string }
)

func (e *statusError) Error() string   { return fmt.Sprintf("the server answered %d", e.code) }
func (e *proxyError) Error() string    { return fmt.Sprintf("the proxy answered %d", e.code) }
func (e *redirectError) Error() string { return "the server redirects to another host" }
func (e *notGitError) Error() string   { return "the server's answer is not Git" }

// newHTTPWire returns the wire to an http or https endpoint. It does not connect yet.
func newHTTPWire(endpoint transport.Endpoint, credentials Credentials, limits Limits) (*httpWire, *Error) {
	if credentials.BearerToken != "" && (credentials.Username != "" || credentials.Password != "") {
		return nil, fail(InvalidCredentials, "keep one of the two", "both a bearer token and a user name or password are given")
	}
	tlsConfig, failure := credentials.tlsConfig()
	if failure != nil {
		return nil, failure
	}
	proxy, failure := credentials.proxy()
	if failure != nil {
		return nil, failure
	}
	w := &httpWire{
		limits: limits,
		base: &http.Transport{
			Proxy:                  proxy,
			TLSClientConfig:        tlsConfig,
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: 64 << 10,
			OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
				if answer.StatusCode != http.StatusOK {
					return &proxyError{code: answer.StatusCode}
				}
				return nil
			},
		},
	}
	client := githttp.NewClient(&http.Client{Transport: w, CheckRedirect: w.checkRedirect})
	var err error
	if w.session, err = client.NewUploadPackSession(&endpoint, credentials.auth()); err != nil {
		return nil, fail(InvalidCredentials, "", "the credentials do not fit an %s URL", endpoint.Protocol)
	}
	return w, nil
}

func (w *httpWire) list(ctx context.Context) (*packp.AdvRefs, error) {
	return w.session.AdvertisedReferencesContext(ctx)
}

func (w *httpWire) ask(ctx context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	return w.session.UploadPack(ctx, request)
}

// close ends every connection of the attempt.
func (w *httpWire) close() { w.base.CloseIdleConnections() }

// checkRedirect allows a redirect within the host, and from http to https on it; go-git allows it for listing refs only.
func (w *httpWire) checkRedirect(next *http.Request, via []*http.Request) error {
	from, to := via[0].URL, next.URL
	upgraded := from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == ""
	same := from.Scheme == to.Scheme && strings.EqualFold(from.Host, to.Host)
	if !same && !(upgraded && strings.EqualFold(from.Hostname(), to.Hostname())) {
		return w.remember(&redirectError{host: to.Host})
	}
	return nil
}

// RoundTrip sends one request. Only answers that are Git, and redirects, come back without an error.
func (w *httpWire) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.base.RoundTrip(request)
	if err != nil {
		return nil, w.remember(err)
	}
	what, wanted, limit := refList, "application/x-git-upload-pack-advertisement", w.limits.RefBytes
	if request.Method == http.MethodPost {
		what, wanted, limit = onePack, "application/x-git-upload-pack-result", w.limits.PackBytes
	}
	contentType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		_ = response.Body.Close()
		response.Body = http.NoBody
		return response, nil
	case response.StatusCode != http.StatusOK:
		err = &statusError{code: response.StatusCode, after: retryAfter(response.Header, time.Now())}
	case contentType != wanted:
		err = &notGitError{contentType: cmp.Or(contentType, "an unknown type")}
	default:
		response.Body = &cappedBody{capped: w.capped(response.Body, what, limit), Closer: response.Body}
		return response, nil
	}
	// The body is never read: it may be a page, a trap, or an echo of the credentials.
	_ = response.Body.Close()
	return nil, w.remember(err)
}

// cappedBody is a body that ends with an error once more has been read than is allowed.
type cappedBody struct {
	*capped
	io.Closer
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(now))
	}
	return 0
}
