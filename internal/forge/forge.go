// Package forge runs Gitea on the loopback interface: a real forge for tests, with accounts, tokens, deploy keys, its own SSH server and
// webhooks that it signs itself.
//
// The program is bin/gitea, which `make test` builds from tools/gitea. Everything it keeps is below one directory, and it is gone when the
// test ends. Never serve anything from here that is not meant for everyone on this machine.
package forge

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"kilter.dev/kilter/internal/process"
)

// The only account, an administrator.
const (
	User     = "ann"
	Password = "c4n4ry-Of-The-F0rge" // a canary: nothing that Kilter prints may hold it
)

// Options say where things are.
type Options struct {
	Program string // bin/gitea
	Module  string // tools/gitea, whose go.mod says which Gitea's pages to serve
	Dir     string // for all that it keeps; it must exist
}

// Forge is a running Gitea.
type Forge struct {
	http, ssh string // addresses
	hostKey   ssh.PublicKey
	process   *process.Process
}

// Start starts Gitea and returns when it answers and User may log in, which takes some ten seconds.
func Start(ctx context.Context, o Options) (_ *Forge, err error) {
	f := &Forge{}
	if f.http, err = freeAddress(); err != nil {
		return nil, err
	}
	if f.ssh, err = freeAddress(); err != nil {
		return nil, err
	}
	config, err := f.configure(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("cannot configure Gitea: %w", err)
	}
	if f.process, err = process.Start(process.Options{Path: o.Program, Args: []string{"web", "--config", config}}); err != nil {
		return nil, fmt.Errorf("%w; build it with `make test`", err)
	}
	if err = f.answers(ctx); err == nil {
		create := exec.CommandContext(ctx, o.Program, "admin", "user", "create", "--config", config, "--admin", "--username", User,
			"--password", Password, "--email", User+"@example.com", "--must-change-password=false")
		var said []byte
		if said, err = create.CombinedOutput(); err != nil {
			err = fmt.Errorf("cannot create %s: %w: %s", User, err, said)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// configure writes Gitea's configuration and the SSH server's key, and returns the configuration's file.
func (f *Forge) configure(ctx context.Context, o Options) (file string, err error) {
	here, err := user.Current()
	if err != nil {
		return "", err
	}
	pages, err := exec.CommandContext(ctx, "go", "list", "-C", o.Module, "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the pages of the module in %s: %w", o.Module, err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", err
	}
	if f.hostKey, err = ssh.NewPublicKey(public); err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return "", err
	}
	key := filepath.Join(o.Dir, "host-key")
	if err := os.WriteFile(key, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	host, port, _ := net.SplitHostPort(f.http)
	sshHost, sshPort, _ := net.SplitHostPort(f.ssh)
	file = filepath.Join(o.Dir, "app.ini")
	return file, os.WriteFile(file, fmt.Appendf(nil, configuration, here.Username, filepath.Join(o.Dir, "work"),
		strings.TrimSpace(string(pages)), host, port, f.http, sshHost, sshPort, key), 0o600)
}

// configuration is Gitea's app.ini. Passwords are hashed in a moment, webhooks may go to this machine, and nothing is asked of any other.
const configuration = `RUN_USER = %s
RUN_MODE = prod
WORK_PATH = %s
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
[server]
STATIC_ROOT_PATH = %s
HTTP_ADDR = %s
HTTP_PORT = %s
ROOT_URL = http://%s/
OFFLINE_MODE = true
START_SSH_SERVER = true
BUILTIN_SSH_SERVER_USER = git
SSH_LISTEN_HOST = %s
SSH_LISTEN_PORT = %s
SSH_SERVER_HOST_KEYS = %s
[database]
DB_TYPE = sqlite3
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$1$50
[repository]
DEFAULT_BRANCH = main
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
[log]
LEVEL = Warn
`

// answers returns once the forge does.
func (f *Forge) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // it takes seconds; a busy machine gets more
	defer cancel()
	for again := time.NewTicker(50 * time.Millisecond); ; {
		err := f.do(ctx, http.MethodGet, "/api/healthz", nil, nil)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return fmt.Errorf("gitea does not answer: %w:\n%s", err, f.process.Output())
		}
	}
}

// Close ends the forge.
func (f *Forge) Close() error { return f.process.Stop(30 * time.Second) }

// URL returns where a repository of User can be cloned from.
func (f *Forge) URL(name string) string { return "http://" + f.http + "/" + User + "/" + name + ".git" }

// SSH returns the same for SSH.
func (f *Forge) SSH(name string) string {
	return "ssh://git@" + f.ssh + "/" + User + "/" + name + ".git"
}

// KnownHosts returns the SSH server's line of known_hosts.
func (f *Forge) KnownHosts() []byte {
	host, port, _ := net.SplitHostPort(f.ssh)
	return fmt.Appendf(nil, "[%s]:%s %s", host, port, ssh.MarshalAuthorizedKey(f.hostKey))
}

// PushURL is URL with the account's password, for git.
func (f *Forge) PushURL(name string) string {
	return "http://" + User + ":" + Password + "@" + strings.TrimPrefix(f.URL(name), "http://")
}

// API sends a request of User to Gitea's API, below /api/v1, and decodes what it answers unless answer is nil.
func (f *Forge) API(ctx context.Context, method, path string, body map[string]any, answer any) error {
	return f.do(ctx, method, "/api/v1"+path, body, answer)
}

func (f *Forge) do(ctx context.Context, method, path string, body map[string]any, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+f.http+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "/api/v1") {
		request.SetBasicAuth(User, Password)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("gitea answers %s %s with %s: %s", method, path, response.Status, said)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// freeAddress returns an address of the loopback interface that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
