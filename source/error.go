package source

import (
	"cmp"
	"fmt"
	"strings"

	"kilter.dev/kilter/internal/phrase"
)

// Reason is the class of what went wrong: a closed set, so that status and metrics may use it.
type Reason string

// The reasons. Those of the first group need somebody to change the configuration or the repository; those of the second
// may pass by themselves.
const (
	InvalidURL           Reason = "InvalidURL"           // the URL cannot be understood, or carries credentials
	InsecureURL          Reason = "InsecureURL"          // plain http, which was not allowed
	UnsupportedURL       Reason = "UnsupportedURL"       // a transport that is not served here
	InvalidRef           Reason = "InvalidRef"           // Options.Ref is not one valid ref
	InvalidPath          Reason = "InvalidPath"          // Options.Path leads out of the repository
	InvalidCredentials   Reason = "InvalidCredentials"   // the credentials could not be read or make no sense together
	AuthenticationFailed Reason = "AuthenticationFailed" // the server does not accept the credentials, or wants some (401)
	AccessDenied         Reason = "AccessDenied"         // the server knows who asks and refuses (403)
	UntrustedCertificate Reason = "UntrustedCertificate" // the server's TLS certificate is not trusted
	UntrustedHostKey     Reason = "UntrustedHostKey"     // the SSH server's key is not in known_hosts, or is another one there
	RepositoryNotFound   Reason = "RepositoryNotFound"   // no repository there, or none that the credentials may see
	Redirected           Reason = "Redirected"           // the server sends us to another host
	NotGit               Reason = "NotGit"               // the server answers, but not with Git: a login page
	EmptyRepository      Reason = "EmptyRepository"      // the repository has no commit
	RefNotFound          Reason = "RefNotFound"          // the repository lacks the branch, tag, commit or ref
	PathNotFound         Reason = "PathNotFound"         // the commit has no directory at the path
	EmptyPath            Reason = "EmptyPath"            // the path holds no file
	UnsupportedEntry     Reason = "UnsupportedEntry"     // a symbolic link, a submodule or an odd name inside the path
	Unverified           Reason = "Unverified"           // the commit or tag is not signed by a trusted key
	TooLarge             Reason = "TooLarge"             // more refs, bytes or files than the limits allow

	Unreachable Reason = "Unreachable" // no connection: DNS, refused, reset
	Timeout     Reason = "Timeout"     // the server took longer than Options.Timeout
	ServerError Reason = "ServerError" // the server is overloaded or broken (429, 5xx)
	BadResponse Reason = "BadResponse" // the server's answer is cut short or makes no sense
	StoreFailed Reason = "StoreFailed" // the object store on our disk cannot be written or read
	Interrupted Reason = "Interrupted" // the caller's context ended
)

// Error is why a repository could not be opened or fetched. No text in it ever holds a credential.
type Error struct {
	Reason  Reason
	URL     string // redacted: what Redact returns; the directory of a local repository
	Message string // what is wrong, without a final stop
	Hint    string // what to do next; may be empty where Message says it
	Step    Step   // the part of a Fetch that failed; empty where nothing was fetched
	Err     error  // the cause, where a caller may act on it, such as context.Canceled; may be nil

	doing string // what could not be done; "fetch" when empty
}

// Error returns one line: "cannot fetch <URL>: <Message>; <Hint>", or "cannot read <directory>: …" for a local repository.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cannot %s %s: %s", cmp.Or(e.doing, "fetch"), e.URL, e.Message)
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether fetching again may succeed though nobody changes the configuration or the repository.
func (e *Error) Transient() bool {
	switch e.Reason {
	case Unreachable, Timeout, ServerError, BadResponse, StoreFailed, Interrupted:
		return true
	}
	return false
}

// Class returns Reason as a label of metrics.
func (e *Error) Class() string { return string(e.Reason) }

// fail is an Error without its URL, which Repository and Open fill in.
func fail(reason Reason, hint, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// enumerate joins names for people: sorted as given, at most ten, with the number of the others.
func enumerate(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = printable(name)
	}
	return phrase.Few(quoted, 10)
}
