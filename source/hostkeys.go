package source

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeys is what a known_hosts file says of one server: by which keys it is known, and so which kinds of key to ask it for.
type hostKeys struct {
	check      ssh.HostKeyCallback
	algorithms []string // in the file's order; the server proves itself by one of them
}

// hostKeyError is a server whose key is not the one that known_hosts lists.
type hostKeyError struct {
	key     string // what the server has: algorithm and fingerprint
	revoked bool
	lines   []int // where known_hosts speaks of the server
}

func (e *hostKeyError) Error() string { return "the server's key is not trusted" }

// readKnownHosts finds a server, given as host:port, in a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": hashed names,
// patterns, ports, @revoked, @cert-authority). The file is needed for a moment in dir, since the parser reads nothing else.
func readKnownHosts(dir string, content []byte, address string) (hostKeys, *Error) {
	if len(bytes.TrimSpace(content)) == 0 {
		return hostKeys{}, fail(InvalidCredentials, "give known_hosts, with "+scanLine(address),
			"there is no known_hosts, without which nobody can tell who answers")
	}
	check, err := parseKnownHosts(dir, content)
	if failure, ok := errors.AsType[*Error](err); ok {
		return hostKeys{}, failure
	} else if err != nil {
		return hostKeys{}, fail(StoreFailed, "check that the directory can be written and has space",
			"cannot %s", printable((&storeError{"read known_hosts", err}).Error()))
	}
	// Asked about a key that nobody has, the parser names all that it would have accepted.
	stranger, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		return hostKeys{}, fail(InvalidCredentials, "", "known_hosts cannot be read: %s", printable(err.Error()))
	}
	known, _ := errors.AsType[*knownhosts.KeyError](check(address, new(net.TCPAddr), stranger))
	if known == nil || len(known.Want) == 0 {
		return hostKeys{}, fail(UntrustedHostKey, "add "+scanLine(address), "known_hosts has no key of %s", printable(address))
	}
	lines := bytes.Split(content, []byte("\n"))
	var algorithms []string
	for _, want := range known.Want {
		authority := bytes.HasPrefix(bytes.TrimSpace(lines[want.Line-1]), []byte("@cert-authority"))
		algorithms = append(algorithms, algorithmsOf(want.Key.Type(), authority)...)
	}
	slices.Sort(algorithms)
	return hostKeys{algorithms: slices.Compact(algorithms), check: func(address string, remote net.Addr, key ssh.PublicKey) error {
		return refuseKey(check(address, remote, key), key)
	}}, nil
}

var parserLine = regexp.MustCompile(`^knownhosts: .*:(\d+): (.*)$`)

// parseKnownHosts returns an *Error when the content is wrong; any other error is the disk's.
func parseKnownHosts(dir string, content []byte) (ssh.HostKeyCallback, error) {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	place, err := os.MkdirTemp(dir, storePrefix+"hosts-*") // removed like a store when the process dies here
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(place) }()
	name := filepath.Join(place, "known_hosts")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return nil, err
	}
	check, err := knownhosts.New(name)
	if err == nil {
		return check, nil
	}
	if match := parserLine.FindStringSubmatch(err.Error()); match != nil {
		return nil, fail(InvalidCredentials, "mend or remove the line; ssh-keyscan prints lines of the right form",
			"line %s of known_hosts cannot be read", match[1])
	}
	return nil, fail(InvalidCredentials, "ssh-keyscan prints lines of the right form", "known_hosts cannot be read")
}

// algorithmsOf returns the signatures by which the owner of a key can prove it. SHA-1 is not among them.
func algorithmsOf(keyType string, authority bool) []string {
	switch {
	case authority: // what it has signed may be of any type
		return []string{
			ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01,
		}
	case keyType == ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{keyType}
}

// refuseKey turns the parser's verdict on a key into a *hostKeyError, unless it is nil.
func refuseKey(err error, key ssh.PublicKey) error {
	if err == nil {
		return nil
	}
	refused := &hostKeyError{key: keyName(key)}
	if _, ok := errors.AsType[*knownhosts.RevokedError](err); ok {
		refused.revoked = true
	}
	if mismatch, ok := errors.AsType[*knownhosts.KeyError](err); ok {
		for _, want := range mismatch.Want {
			refused.lines = append(refused.lines, want.Line)
		}
	}
	return refused
}

// scanLine says where the line of a server comes from.
func scanLine(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "22" {
		return fmt.Sprintf("what `ssh-keyscan %s` prints, once its owner confirms the fingerprint", printable(host))
	}
	return fmt.Sprintf("what `ssh-keyscan -p %s %s` prints, once its owner confirms the fingerprint", port, printable(host))
}

// explain says what is wrong with the server's key.
func (e *hostKeyError) explain() *Error {
	if e.revoked {
		return fail(UntrustedHostKey, "somebody may be in between; its owner has to give the server another key",
			"the server's key, %s, is @revoked in known_hosts", e.key)
	}
	where := ""
	if len(e.lines) > 0 {
		numbers := make([]string, len(e.lines))
		for i, line := range e.lines {
			numbers[i] = fmt.Sprint(line)
		}
		where = " (line " + strings.Join(numbers, ", ") + ")"
	}
	return fail(UntrustedHostKey, "somebody may be in between; if its owner confirms the new key, put it into known_hosts in place of the old one",
		"the server's key, %s, is not the one in known_hosts%s", e.key, where)
}
