package source

import (
	"cmp"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// malformed stands for a URL that cannot be taken apart: any piece of it might be a password.
const malformed = "(malformed URL)"

// scpLike matches user@host:path, the way ssh remotes are mostly written.
var scpLike = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9._-]+):([^:@\\?#]+)$`)

// Redact returns raw without anything that could be a credential: user information, query and fragment are dropped, and
// of a URL that cannot be parsed at most the scheme is left. Use it wherever a URL is shown or logged.
func Redact(raw string) string {
	if match := scpLike.FindStringSubmatch(raw); match != nil {
		return printable(match[2] + ":" + match[3])
	}
	if dir, local := LocalPath(raw); local {
		return printable(withoutUser(dir))
	}
	u, err := url.Parse(raw)
	scheme, _, found := strings.Cut(raw, "://")
	switch {
	case err == nil && u.Host != "" && u.Opaque == "":
	case found && knownScheme(scheme):
		return strings.ToLower(scheme) + "://" + malformed
	default:
		return malformed
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host}
	return printable(shown.String() + withoutUser(u.Path))
}

// withoutUser returns a path without what may be credentials, when a whole URL was pasted after another.
func withoutUser(path string) string {
	if at := strings.LastIndexByte(path, '@'); at >= 0 {
		return "/…" + path[at:]
	}
	return path
}

func knownScheme(scheme string) bool {
	switch strings.ToLower(scheme) {
	case "http", "https", "ssh", "git", "file":
		return true
	}
	return false
}

// What to do about a URL that cannot be used.
const (
	useURL = "use an https URL, such as https://git.example.com/team/repository.git, or an ssh one"
	copyIt = "copy the address that the server offers for cloning"
)

// parseURL returns where to connect to, or why raw is refused: https and ssh are served, and plain http where it is allowed.
func parseURL(raw string, allowInsecure bool) (*transport.Endpoint, *Error) {
	if raw == "" {
		return nil, fail(InvalidURL, useURL, "the URL is empty")
	}
	if match := scpLike.FindStringSubmatch(raw); match != nil {
		return sshEndpoint(transport.Endpoint{User: match[1], Host: match[2], Path: match[3]})
	}
	if _, local := LocalPath(raw); local {
		return nil, fail(UnsupportedURL, useURL+"; kilter run -f and kilter plan -f read a local one as well",
			"a repository on the local disk is not served here")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return nil, fail(InvalidURL, useURL, "the URL is malformed")
	}
	switch u.Scheme {
	case "https", "ssh":
	case "http":
		if !allowInsecure {
			return nil, fail(InsecureURL, "use https, or allow insecure Git explicitly",
				"plain http shows credentials and manifests to everyone on the way and lets them change both")
		}
	case "":
		return nil, fail(UnsupportedURL, useURL, "it is neither a URL nor a path that begins with / or .")
	default:
		return nil, fail(UnsupportedURL, useURL, "this protocol is not supported")
	}
	_, password := u.User.Password()
	switch {
	case u.Hostname() == "":
		return nil, fail(InvalidURL, useURL, "the URL names no host")
	case u.User != nil && (password || u.Scheme != "ssh"):
		return nil, fail(InvalidURL, "give the user name and password or token as credentials instead",
			"the URL carries credentials, where everyone could read them")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fail(InvalidURL, copyIt, "a repository's URL has no ? and no #")
	case strings.Trim(u.Path, "/") == "":
		return nil, fail(InvalidURL, useURL, "the URL names a host but no repository")
	}
	port := 0
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil || port < 1 || port > 65535 {
			return nil, fail(InvalidURL, useURL, "the URL's port is not between 1 and 65535")
		}
	}
	host := u.Hostname()
	if u.Scheme == "ssh" {
		path := u.Path
		if strings.HasPrefix(path, "/~") { // a user's home, as git has it (connect.c, parse_connect_url)
			path = path[1:]
		}
		return sshEndpoint(transport.Endpoint{User: u.User.Username(), Host: host, Port: port, Path: path})
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	// The path stays escaped: go-git puts it into requests as it is.
	return &transport.Endpoint{Protocol: u.Scheme, Host: host, Port: port, Path: strings.TrimRight(u.EscapedPath(), "/")}, nil
}

// sshEndpoint fills in what an ssh URL may leave out. The path is what git-upload-pack is given.
func sshEndpoint(e transport.Endpoint) (*transport.Endpoint, *Error) {
	switch {
	case strings.HasPrefix(e.Path, "-"): // the server would take it for an option
		return nil, fail(InvalidURL, copyIt, "the repository's path begins with a dash")
	case printable(e.Path) != e.Path || printable(e.User) != e.User:
		return nil, fail(InvalidURL, copyIt, "the URL holds characters that cannot be seen")
	}
	e.Protocol, e.User, e.Port = "ssh", cmp.Or(e.User, "git"), cmp.Or(e.Port, 22)
	return &e, nil
}

// printable returns text on one line that a terminal shows as it is: whatever else it holds is written as an escape.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return text
	}
	return strconv.Quote(text)
}
