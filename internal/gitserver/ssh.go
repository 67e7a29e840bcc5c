package gitserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
)

// SSHD is where OpenSSH's server is, or an error that wraps exec.ErrNotFound: it is in few users' PATH.
func SSHD() (string, error) {
	for _, name := range []string{"sshd", "/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if found, err := exec.LookPath(name); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", fmt.Errorf("cannot find OpenSSH's sshd: %w; install openssh-server", exec.ErrNotFound)
}

// SSHOptions configure an SSH server.
type SSHOptions struct {
	Dir            string   // for its files; it belongs to the server
	HostKeys       []string // files with private keys
	AuthorizedKeys string   // the content of the file of that name
	Config         string   // more lines of sshd_config
}

// SSH serves a Server's repositories over OpenSSH's sshd, which runs once for each connection, as the user who runs the test. The
// packets that git-upload-pack exchanges are in the file Trace.
type SSH struct {
	Trace string

	git      *Server
	sshd     string
	config   string
	login    string
	listener net.Listener
	running  sync.WaitGroup
}

// StartSSH serves the repositories on a free port of 127.0.0.1 until Close is called.
func (s *Server) StartSSH(options SSHOptions) (*SSH, error) {
	sshd, err := SSHD()
	if err != nil {
		return nil, err
	}
	current, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("cannot start an SSH server: %w", err)
	}
	if current.Uid == "0" { // where sshd confines itself; the package makes it when the machine starts
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, fmt.Errorf("cannot start an SSH server: %w", err)
		}
	}
	served := &SSH{
		Trace: filepath.Join(options.Dir, "trace"), git: s, sshd: sshd, login: current.Username,
		config: filepath.Join(options.Dir, "sshd_config"),
	}
	authorized := filepath.Join(options.Dir, "authorized_keys")
	lines := []string{
		"AuthorizedKeysFile " + authorized, "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no",
		"KbdInteractiveAuthentication no", "LogLevel QUIET", "PidFile none",
		"SetEnv GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=" + os.DevNull + " GIT_TRACE_PACKET=" + served.Trace,
	}
	for _, key := range options.HostKeys {
		lines = append(lines, "HostKey "+key)
	}
	config := strings.Join(append(lines, options.Config), "\n") + "\n"
	for name, content := range map[string]string{served.config: config, authorized: options.AuthorizedKeys} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("cannot start an SSH server: %w", err)
		}
	}
	if said, err := exec.Command(sshd, "-t", "-f", served.config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot start an SSH server: %w: %s", err, said)
	}
	if served.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("cannot start an SSH server: %w", err)
	}
	served.running.Go(served.accept)
	return served, nil
}

func (s *SSH) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.running.Go(func() {
			defer conn.Close()
			socket, err := conn.(*net.TCPConn).File()
			if err != nil {
				return
			}
			defer socket.Close()
			daemon := exec.Command(s.sshd, "-i", "-f", s.config)
			daemon.Stdin, daemon.Stdout = socket, socket
			_ = daemon.Run() // whatever it has to say, the client is told
		})
	}
}

// Address returns host and port.
func (s *SSH) Address() string { return s.listener.Addr().String() }

// URL returns where the repository of that name can be cloned from.
func (s *SSH) URL(name string) string {
	return "ssh://" + s.login + "@" + s.Address() + filepath.ToSlash(filepath.Join(s.git.options.Dir, name+".git"))
}

// Wants counts the objects that clients have asked for so far.
func (s *SSH) Wants() (int, error) {
	trace, err := os.ReadFile(s.Trace)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return strings.Count(string(trace), "upload-pack< want "), err
}

// Close ends the server, and returns when its last connection has ended: clients have to end them first.
func (s *SSH) Close() error {
	err := s.listener.Close()
	s.running.Wait()
	return err
}
