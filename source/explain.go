package source

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// What to do next, where several failures ask for the same.
const (
	lookAtNetwork = "check that the server runs and that nothing blocks the way to it"
	lookAtServer  = "it is tried again later; if it stays, look at the server"
)

// explain turns any failure of an attempt into an Error. What happened below go-git counts more than what go-git says.
func (a *attempt) explain(ctx context.Context, err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if below, ok := errors.AsType[*submoduleError](err); ok {
		return below.explain()
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		e := fail(Timeout, "check the server and the network between", "the fetch did not finish in time (timeout %s)", a.timeout)
		e.Err = context.DeadlineExceeded
		return e
	case ctx.Err() != nil:
		e := fail(Interrupted, "", "the fetch was interrupted")
		e.Err = ctx.Err()
		return e
	}
	if a.wire != nil && a.wire.failed() != nil {
		return a.explainWire(a.wire.failed())
	}
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return fail(EmptyRepository, "push a first commit", "the repository is empty")
	}
	if long, ok := errors.AsType[*tooLongError](err); ok {
		return fail(TooLarge, "use a smaller repository", "object %s is larger than %d bytes", long.hash, long.limit)
	}
	if broken, ok := errors.AsType[*storeError](err); ok {
		e := fail(StoreFailed, "check that the directory can be written and has space", "cannot %s", printable(broken.Error()))
		e.Err = broken
		return e
	}
	if _, said, found := strings.Cut(err.Error(), "unexpected error: "); found { // on the third channel, which go-git gives no type
		return fail(BadResponse, lookAtServer, "the server breaks off: %s", a.scrub(strings.TrimRight(said, "\x00\r\n")))
	}
	return fail(BadResponse, lookAtServer, "the server's answer makes no sense: %s", a.scrub(err.Error()))
}

// scrub makes the server's words fit for a line of text: no credentials, no control characters, not too long.
func (a *attempt) scrub(text string) string {
	for _, secret := range a.credentials.spellings() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return printable(text)
}

// explainWire turns what the wire remembers into an Error that tells the user what to do.
func (a *attempt) explainWire(failure error) *Error {
	if status, ok := errors.AsType[*statusError](failure); ok {
		refused := explainStatus(status.code, a.credentials)
		if refused.Reason == ServerError {
			a.rest = status.after
		}
		return refused
	}
	if refused := a.explainSSH(failure); refused != nil {
		return refused
	}
	if redirect, ok := errors.AsType[*redirectError](failure); ok {
		return fail(Redirected, "if the repository has moved there, change the URL",
			"the server redirects to another host, %s, which is not followed", printable(redirect.host))
	}
	if notGit, ok := errors.AsType[*notGitError](failure); ok {
		return fail(NotGit, "check the URL and the credentials",
			"the server answered with %s instead of Git, as a login page does", printable(notGit.contentType))
	}
	if over, ok := errors.AsType[*capError](failure); ok {
		return fail(TooLarge, "use a smaller repository, or delete the refs that nobody needs", "%s", over)
	}
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](failure); ok {
		return fail(UntrustedCertificate, "give the CA that signed it as a CA bundle",
			"the server's certificate is not trusted: %s", printable(refused.Err.Error()))
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](failure); ok && string(header.RecordHeader[:]) == "HTTP/" {
		return fail(Unreachable, "check the URL's port", "the server speaks http where https is expected")
	}
	if refused, ok := errors.AsType[*proxyError](failure); ok {
		return explainProxy(refused.code)
	}
	if dns, ok := errors.AsType[*net.DNSError](failure); ok {
		return fail(Unreachable, "check the URL and the name server", "cannot find host %s", printable(dns.Name))
	}
	if op, ok := errors.AsType[*net.OpError](failure); ok && op.Op == "dial" {
		return fail(Unreachable, lookAtNetwork, "cannot connect: %s", printable(op.Err.Error()))
	} else if ok && op.Op == "remote error" { // an alert, whose type package tls keeps to itself
		return explainAlert(op.Err, a.credentials)
	} else if ok && op.Op == "proxyconnect" {
		return fail(Unreachable, "check the proxy's address", "cannot connect to the proxy: %s", printable(op.Err.Error()))
	} else if ok {
		return fail(Unreachable, lookAtNetwork, "the connection broke: %s", printable(op.Err.Error()))
	}
	return fail(Unreachable, lookAtNetwork, "the connection broke")
}

// explainSSH is explainWire for what only SSH servers do; nil for everything else.
func (a *attempt) explainSSH(failure error) *Error {
	if untrusted, ok := errors.AsType[*hostKeyError](failure); ok {
		return untrusted.explain()
	}
	if refused, ok := errors.AsType[*keyRefusedError](failure); ok {
		return fail(AuthenticationFailed, "add its public half to the repository as a deploy key, or to an account that may read it",
			"the server does not accept the SSH key %s for user %s", refused.key, printable(refused.user))
	}
	if none, ok := errors.AsType[*noRepositoryError](failure); ok {
		return fail(RepositoryNotFound, "check the URL's path, and that the SSH key may read the repository",
			"the server gives no repository: %s", cmp.Or(a.scrub(none.says), "it does not say why"))
	}
	negotiation, ok := errors.AsType[*ssh.AlgorithmNegotiationError](failure)
	switch {
	case ok && negotiation.What == "host key":
		return fail(UntrustedHostKey, "add what ssh-keyscan prints for the server, once its owner confirms the fingerprint",
			"known_hosts lists no key of a kind that the server has (%s)", enumerate(negotiation.RequestedAlgorithms))
	case ok:
		return fail(UnsupportedURL, "the server needs an update", "the server and Kilter know no common %s", printable(negotiation.What))
	}
	return nil
}

// explainAlert is what the server says of our side of TLS.
func explainAlert(alert error, credentials Credentials) *Error {
	if len(credentials.Certificate) > 0 {
		return fail(AuthenticationFailed, "give one that is valid, and that a CA of the server has signed",
			"the server does not accept the client certificate: %s", printable(alert.Error()))
	}
	return fail(AuthenticationFailed, "give a client certificate and its key, if the server wants one",
		"the server ends the TLS handshake: %s", printable(alert.Error()))
}

func explainProxy(code int) *Error {
	if code == http.StatusProxyAuthRequired {
		return fail(AuthenticationFailed, "give the proxy's user name and password beside its address, or check them",
			"the proxy does not know us (%d)", code)
	}
	return fail(Unreachable, "let the proxy connect to the server, or use another", "the proxy does not connect to the server (%d)", code)
}

func explainStatus(code int, credentials Credentials) *Error {
	switch {
	case code == http.StatusUnauthorized && credentials.auth() == nil:
		return fail(AuthenticationFailed, "give a user name and a password or token",
			"the server wants credentials and none are given (401)")
	case code == http.StatusUnauthorized:
		return fail(AuthenticationFailed, "check that they are right and have not expired",
			"the server does not accept the %s (401)", credentials)
	case code == http.StatusProxyAuthRequired:
		return explainProxy(code)
	case code == http.StatusForbidden:
		return fail(AccessDenied, "let the account read the repository, or use another",
			"the server denies access, with credentials: %s (403)", credentials)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fail(RepositoryNotFound, "check the URL, and that the credentials may read the repository",
			"the server has no such repository (%d)", code)
	case code == http.StatusTooManyRequests || code >= 500:
		return fail(ServerError, lookAtServer, "the server cannot answer now (%d)", code)
	}
	return fail(NotGit, "check the URL", "the server answered with status %d", code)
}
