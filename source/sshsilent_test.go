package source_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"kilter.dev/kilter/source"
)

// Every point at which an SSH server may go silent. sshd never does, so this one is our own.
func TestG3SilentSSHServerEndsAtTheDeadline(t *testing.T) {
	hostKey, userKey := newKey(t), newKey(t)
	sealed, err := ssh.MarshalPrivateKey(userKey, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, serve := range map[string]func(net.Conn){
		"after TCP accept":       func(net.Conn) {},
		"in the handshake":       func(conn net.Conn) { fmt.Fprint(conn, "SSH-2.0-silent\r\n") },
		"before a channel opens": func(conn net.Conn) { handshake(conn, hostKey) },
		"before git runs": func(conn net.Conn) {
			if channel := handshake(conn, hostKey); channel != nil {
				_, _, _ = (<-channel).Accept()
			}
		},
		"before the refs": func(conn net.Conn) { runGit(conn, hostKey, "") },
		"in the refs":     func(conn net.Conn) { runGit(conn, hostKey, advertised[:60]) },
		"in the pack":     func(conn net.Conn) { runGit(conn, hostKey, advertised+"0008NAK\n") },
	} {
		t.Run(name, func(t *testing.T) {
			address := accept(t, serve)
			signer, err := ssh.NewSignerFromKey(hostKey)
			if err != nil {
				t.Fatal(err)
			}
			endsAtTheDeadline(t, source.Options{
				URL: "ssh://git@" + address + "/team.git",
				Credentials: credentials(source.Credentials{
					Identity:   pem.EncodeToMemory(sealed),
					KnownHosts: []byte(knownhosts.Line([]string{address}, signer.PublicKey())),
				}),
			})
		})
	}
}

var advertised = func() string {
	ref := strings.Repeat("ab", 20) + " HEAD\x00 ofs-delta agent=silent\n"
	return fmt.Sprintf("%04x%s0000", 4+len(ref), ref)
}()

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// accept serves each connection, and then listens, saying nothing, until the client leaves.
func accept(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted sync.WaitGroup
	accepted.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			accepted.Go(func() {
				defer conn.Close()
				serve(conn)
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		accepted.Wait()
	})
	return listener.Addr().String()
}

// handshake lets everybody in, and returns the channels that they open; nil when they have left.
func handshake(conn net.Conn, hostKey ed25519.PrivateKey) <-chan ssh.NewChannel {
	config := &ssh.ServerConfig{
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
	}
	signer, err := ssh.NewSignerFromKey(hostKey)
	if err != nil {
		return nil
	}
	config.AddHostKey(signer)
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return nil
	}
	go ssh.DiscardRequests(requests)
	return channels
}

// runGit answers git-upload-pack with a text, and then says nothing.
func runGit(conn net.Conn, hostKey ed25519.PrivateKey, text string) {
	channels := handshake(conn, hostKey)
	if channels == nil {
		return
	}
	opened, open := <-channels
	if !open {
		return
	}
	channel, requests, err := opened.Accept()
	if err != nil {
		return
	}
	for request := range requests {
		_ = request.Reply(request.Type == "exec", nil)
		_, _ = io.WriteString(channel, text)
	}
}
