package kustomize

import (
	"net/url"
	"path"
	"regexp"
	"strings"
)

// remote reports whether kustomize could take an entry for something to clone or to fetch. It errs on the side of yes: a URL of any
// scheme, user@host:path, github.com/…, git::…, and whatever carries a query for git. A local path that looks like one can be
// written with "./" in front.
//
// The rules are those of kustomize's git.NewRepoSpecFromURL and loader.IsRemoteFile.
func remote(entry string) bool {
	lower := strings.ToLower(entry)
	if strings.HasPrefix(lower, "./") || strings.HasPrefix(lower, "../") {
		return false
	}
	if u, err := url.Parse(entry); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return true
	}
	for _, prefix := range []string{"github.com/", "github.com:", "git::"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return strings.Contains(lower, "://") || strings.Contains(lower, "?ref=") || scpStyle.MatchString(entry)
}

var scpStyle = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]*@`)

// dotted writes a path so that kustomize can take it for nothing but a local one.
func dotted(entry string) string {
	clean := path.Clean(entry)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return clean
	}
	return "./" + clean
}

// printable shortens an entry for a message, and takes a password out of a URL.
func printable(entry string) string {
	if i := strings.IndexAny(entry, "\r\n"); i >= 0 {
		entry = entry[:i] + "…"
	}
	if i := strings.Index(entry, "://"); i >= 0 {
		if user, host, ok := strings.Cut(entry[i+3:], "@"); ok && !strings.Contains(user, "/") {
			entry = entry[:i+3] + host
		}
	}
	if i := strings.IndexByte(entry, '?'); i >= 0 {
		entry = entry[:i]
	}
	const longest = 200
	if runes := []rune(entry); len(runes) > longest {
		entry = string(runes[:longest]) + "…"
	}
	return entry
}
