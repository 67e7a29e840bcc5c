package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// sshWire is one SSH connection and the git-upload-pack commands run over it. go-git's own SSH knows no deadline: here the
// connection is closed when the context ends, which ends whatever waits for it.
type sshWire struct {
	memory
	endpoint transport.Endpoint
	limits   Limits
	config   *ssh.ClientConfig
	address  string
	keyName  string // the client's key, as its owner knows it: algorithm and fingerprint

	client  *ssh.Client
	detach  func() bool // ends the connection's tie to the context
	trusted bool        // the server's key is one of known_hosts
	waiting *uploadPack // has listed its refs, and was not asked for anything yet
}

// What SSH servers refuse; what goes wrong below comes from package net.
type (
	keyRefusedError struct{ user, key string }
	// noRepositoryError is a server that lets us in and then gives no refs. What it says is its own.
	noRepositoryError struct{ says string }
)

func (e *keyRefusedError) Error() string   { return "the server does not accept the SSH key" }
func (e *noRepositoryError) Error() string { return "the server gives no repository" }

// newSSHWire returns the wire to an ssh endpoint. It does not connect yet.
func newSSHWire(endpoint transport.Endpoint, credentials Credentials, options Options) (*sshWire, *Error) {
	if credentials.Proxy != (Proxy{}) {
		return nil, fail(InvalidCredentials, "use an https URL, or remove git.proxySecretRef", "an ssh URL does not go through a proxy")
	}
	signer, failure := credentials.signer()
	if failure != nil {
		return nil, failure
	}
	address := net.JoinHostPort(strings.ToLower(endpoint.Host), strconv.Itoa(endpoint.Port))
	hosts, failure := readKnownHosts(options.Dir, credentials.KnownHosts, address)
	if failure != nil {
		return nil, failure
	}
	w := &sshWire{endpoint: endpoint, limits: options.Limits, address: address, keyName: keyName(signer.PublicKey())}
	w.config = &ssh.ClientConfig{
		User:              endpoint.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: hosts.algorithms,
		HostKeyCallback: func(address string, remote net.Addr, key ssh.PublicKey) error {
			if err := hosts.check(address, remote, key); err != nil {
				return w.remember(err)
			}
			w.trusted = true
			return nil
		},
		ClientVersion: "SSH-2.0-kilter",
	}
	return w, nil
}

// dial connects and proves who we are, once the server has proved who it is.
func (w *sshWire) dial(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
	if err != nil {
		return w.remember(err)
	}
	w.detach = context.AfterFunc(ctx, func() { _ = conn.Close() })
	client, channels, requests, err := ssh.NewClientConn(conn, w.address, w.config)
	if err != nil {
		w.detach()
		if w.trusted && strings.Contains(err.Error(), "unable to authenticate") { // it has no type of its own
			err = &keyRefusedError{user: w.endpoint.User, key: w.keyName}
		}
		return w.remember(err)
	}
	w.client = ssh.NewClient(client, channels, requests)
	return nil
}

func (w *sshWire) close() {
	if w.client == nil {
		return
	}
	if w.waiting != nil {
		w.waiting.leave()
	}
	w.detach()
	_ = w.client.Close()
	_ = w.client.Wait()
	w.client = nil
}

func (w *sshWire) list(ctx context.Context) (*packp.AdvRefs, error) {
	if err := w.dial(ctx); err != nil {
		return nil, err
	}
	command, refs, err := w.start()
	w.waiting = command
	return refs, err
}

func (w *sshWire) ask(_ context.Context, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	command := w.waiting
	w.waiting = nil
	if command == nil { // it answers one request only
		var err error
		if command, _, err = w.start(); err != nil {
			return nil, err
		}
	}
	response, err := command.ask(w.capped(command.stdout, onePack, w.limits.PackBytes), request)
	if err != nil {
		command.end()
	}
	return response, err
}

// uploadPack is git-upload-pack running on the server.
type uploadPack struct {
	session *ssh.Session
	stdin   io.WriteCloser
	stdout  io.Reader
	stderr  *beginning
}

// start runs git-upload-pack, which begins by listing its refs.
func (w *sshWire) start() (command *uploadPack, refs *packp.AdvRefs, err error) {
	session, err := w.client.NewSession()
	if err != nil {
		return nil, nil, w.remember(err)
	}
	command = &uploadPack{session: session, stderr: new(beginning)}
	defer func() {
		if err != nil {
			command.end()
			command = nil
		}
	}()
	session.Stderr = command.stderr
	if command.stdin, err = session.StdinPipe(); err != nil {
		return command, nil, w.remember(err)
	}
	if command.stdout, err = session.StdoutPipe(); err != nil {
		return command, nil, w.remember(err)
	}
	if err = session.Start("git-upload-pack " + quoted(w.endpoint.Path)); err != nil {
		return command, nil, w.remember(&noRepositoryError{says: "it does not run git-upload-pack"})
	}
	refs = packp.NewAdvRefs()
	list := w.capped(command.stdout, refList, w.limits.RefBytes)
	begin := make([]byte, 4) // the least that a list can be
	n, err := io.ReadFull(list, begin)
	silent := len(bytes.TrimSpace(begin[:n])) == 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF))
	if !silent {
		err = refs.Decode(io.MultiReader(bytes.NewReader(begin[:n]), list))
	}
	said, isError := errors.AsType[*pktline.ErrorLine](err)
	switch {
	case silent: // or nearly so: Gitea says an empty line, and why to the other channel
		return command, nil, w.remember(command.died())
	case isError:
		return command, nil, w.remember(&noRepositoryError{says: said.Text})
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && refs.IsEmpty():
		return command, nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return command, nil, err
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return command, refs, nil
}

// ask sends the request whole and returns what comes back, to be read to its end and closed.
func (c *uploadPack) ask(answer io.Reader, request *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	var text bytes.Buffer
	if err := request.UploadRequest.Encode(&text); err != nil {
		return nil, err
	}
	if err := request.UploadHaves.Encode(&text, false); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(&text).EncodeString("done\n"); err != nil {
		return nil, err
	}
	if _, err := text.WriteTo(c.stdin); err != nil {
		return nil, err
	}
	response := packp.NewUploadPackResponse(request)
	return response, response.Decode(&answerBody{Reader: answer, command: c})
}

// leave ends a command that was asked for nothing as the protocol wants it, so that no server logs a failure.
func (c *uploadPack) leave() {
	_, _ = c.stdin.Write(pktline.FlushPkt)
	c.end()
}

func (c *uploadPack) end() { _ = c.session.Close() }

// died says why the command ended before it had listed anything.
func (c *uploadPack) died() error {
	err := c.session.Wait() // and until all that it said is there
	if _, cut := errors.AsType[*ssh.ExitMissingError](err); cut && c.stderr.text() == "" {
		return &net.OpError{Op: "read", Net: "tcp", Err: io.ErrUnexpectedEOF}
	}
	return &noRepositoryError{says: c.stderr.text()}
}

// answerBody ends the command when the answer is closed.
type answerBody struct {
	io.Reader
	command *uploadPack
}

func (b *answerBody) Close() error {
	b.command.end()
	return nil
}

// beginning keeps the first KiB written to it, and drops the rest.
type beginning struct{ kept bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	b.kept.Write(p[:min(len(p), 1<<10-b.kept.Len())])
	return len(p), nil
}

// text returns the first line that says anything; sshd and git say the most important thing first.
func (b *beginning) text() string {
	for line := range strings.Lines(b.kept.String()) {
		if line = strings.TrimSpace(strings.TrimPrefix(line, "remote:")); strings.Trim(line, "=") != "" {
			return line
		}
	}
	return ""
}

// quoted is a path as one word for a shell, and for the servers that only look like one (git's quote.c, sq_quote_buf).
func quoted(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

func keyName(key ssh.PublicKey) string {
	return fmt.Sprintf("%s %s", key.Type(), ssh.FingerprintSHA256(key))
}
