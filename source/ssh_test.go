package source_test

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/internal/needs"
	"kilter.dev/kilter/source"
)

// sshOrigin is a repository behind OpenSSH's own sshd.
type sshOrigin struct {
	*origin
	ssh *gitserver.SSH
	dir string // for keys
}

// newSSHOrigin serves a repository with one file over sshd, which has a host key of each kind and lets in the user's keys. Where
// there is no sshd the test is skipped, but never in CI.
func newSSHOrigin(t *testing.T, users ...string) *sshOrigin {
	t.Helper()
	if _, err := gitserver.SSHD(); err != nil {
		needs.Missing(t, err)
	}
	o := &sshOrigin{origin: newOrigin(t, gitserver.Options{}), dir: t.TempDir()}
	o.push("prod/a", "1")
	authorized := ""
	for _, user := range users {
		authorized += o.key(user, "", "") + "\n"
	}
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		o.key("host-"+kind, kind, "")
	}
	o.serve("", authorized)
	return o
}

func (o *sshOrigin) serve(config, authorized string) {
	o.Helper()
	served, err := o.server.StartSSH(gitserver.SSHOptions{
		Dir: o.TempDir(), AuthorizedKeys: authorized, Config: config,
		HostKeys: []string{o.file("host-ed25519"), o.file("host-rsa"), o.file("host-ecdsa")},
	})
	o.must(err)
	o.Cleanup(func() { o.must(served.Close()) })
	o.ssh = served
	o.url = o.ssh.URL("team")
}

func (o *sshOrigin) file(name string) string { return filepath.Join(o.dir, name) }

func (o *sshOrigin) read(name string) []byte {
	o.Helper()
	content, err := os.ReadFile(o.file(name))
	o.must(err)
	return content
}

// key makes a key pair with ssh-keygen, and returns the public half without its comment.
func (o *sshOrigin) key(name, kind, passphrase string) string {
	o.Helper()
	bits := map[string]string{"rsa": "2048", "ecdsa": "256"}[kind] // ssh-keygen's own choice takes a second for rsa
	o.keygen("-q", "-t", cmp.Or(kind, "ed25519"), "-b", cmp.Or(bits, "256"), "-N", passphrase, "-f", o.file(name))
	return strings.Join(strings.Fields(string(o.read(name + ".pub")))[:2], " ")
}

func (o *sshOrigin) keygen(args ...string) {
	o.Helper()
	if said, err := exec.CommandContext(o.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
		o.Fatalf("ssh-keygen %s: %v: %s", strings.Join(args, " "), err, said)
	}
}

// known returns the known_hosts line of the server's key of a kind.
func (o *sshOrigin) known(kind string) string {
	host, port, _ := strings.Cut(o.ssh.Address(), ":")
	return "[" + host + "]:" + port + " " + strings.Join(strings.Fields(string(o.read("host-" + kind + ".pub")))[:2], " ") + "\n"
}

// as returns the credentials of a user who knows all keys of the server.
func (o *sshOrigin) as(user string) source.Credentials {
	return source.Credentials{
		Identity: o.read(user), KnownHosts: []byte(o.known("ed25519") + o.known("rsa") + o.known("ecdsa")),
	}
}

func (o *sshOrigin) with(c source.Credentials) *opened {
	o.Helper()
	return o.open(source.Options{Credentials: credentials(c)})
}

func TestSSHFetchesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	o := newSSHOrigin(t, "ann")
	r := o.with(o.as("ann"))
	first := r.fetch()
	if got := content(t, first, "prod/a"); got != "1" {
		t.Errorf("got %q", got)
	}
	if again := r.fetch(); again != first {
		t.Errorf("an unmoved ref gave %v; want the same snapshot %v", again, first)
	}
	wants := func() int {
		n, err := o.ssh.Wants()
		o.must(err)
		return n
	}
	if n := wants(); n != 1 {
		t.Errorf("two fetches of one commit asked for %d objects; want 1", n)
	}
	o.push("prod/a", "2")
	if got := content(t, r.fetch(), "prod/a"); got != "2" || wants() != 2 {
		t.Errorf("after a push: got %q with %d requests", got, wants())
	}
	// A history written anew: the server does not know our tip, so that the same connection is asked twice.
	o.git("", "checkout", "--quiet", "--orphan", "fresh")
	unrelated := o.commit("prod/a", "3")
	o.must(o.repo.ForcePush(t.Context(), "fresh:main"))
	o.git("", "--git-dir", o.repo.Bare, "reflog", "expire", "--expire=now", "--all")
	o.git("", "--git-dir", o.repo.Bare, "gc", "--quiet", "--prune=now")
	if snapshot := r.fetch(); snapshot.Commit != unrelated || content(t, snapshot, "prod/a") != "3" {
		t.Errorf("after a new history: got %s; want %s", snapshot.Commit, unrelated)
	}
	trace, err := os.ReadFile(o.ssh.Trace)
	o.must(err)
	if strings.Contains(string(trace), "ERR") {
		t.Errorf("the server complained:\n%s", trace)
	}
}

func TestSSHKeys(t *testing.T) {
	t.Parallel()
	kinds := []string{"ed25519", "rsa", "ecdsa"}
	o := newSSHOrigin(t)
	authorized := ""
	for _, kind := range kinds {
		authorized += o.key(kind, kind, "") + "\n" + o.key(kind+"-sealed", kind, canary) + "\n"
	}
	o.keygen("-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", canary, "-f", o.file("pem"))
	authorized += string(o.read("pem.pub"))
	o.key("ca", "", "")
	o.key("certified", "", "")
	o.keygen("-q", "-s", o.file("ca"), "-I", "kilter", "-n", loginName(t), o.file("certified.pub"))
	o.serve("", authorized+"cert-authority "+string(o.read("ca.pub")))
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			given := o.as(kind)
			o.with(given).fetch()
			given.PublicKey = o.read(kind + ".pub")
			o.with(given).fetch()
		})
		t.Run(kind+" with a passphrase", func(t *testing.T) {
			sealed := o.as(kind + "-sealed")
			o.with(sealed).refused(source.InvalidCredentials, "is encrypted and no passphrase is given")
			sealed.Password = canary + "x"
			o.with(sealed).refused(source.InvalidCredentials, "the passphrase does not open the SSH key")
			sealed.Password = canary
			o.with(sealed).fetch()
		})
	}
	t.Run("of the older format", func(t *testing.T) {
		sealed := o.as("pem")
		sealed.Password = canary
		o.with(sealed).fetch()
	})
	t.Run("with a certificate", func(t *testing.T) {
		given := o.as("certified")
		o.with(given).refused(source.AuthenticationFailed)
		given.PublicKey = o.read("certified-cert.pub")
		o.with(given).fetch()
	})
}

func loginName(t *testing.T) string {
	t.Helper()
	name, err := exec.CommandContext(t.Context(), "id", "-un").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

func TestSSHCredentialsThatDoNotFit(t *testing.T) {
	t.Parallel()
	o := newSSHOrigin(t, "ann")
	o.key("bob", "", "")
	good := o.as("ann")
	for name, c := range map[string]struct {
		change func(*source.Credentials)
		reason source.Reason
		words  []string
	}{
		"no key":           {func(c *source.Credentials) { c.Identity = nil }, source.InvalidCredentials, []string{"needs an SSH key"}},
		"no known_hosts":   {func(c *source.Credentials) { c.KnownHosts = []byte("\n") }, source.InvalidCredentials, []string{"ssh-keyscan -p"}},
		"garbage":          {func(c *source.Credentials) { c.Identity = []byte(canary) }, source.InvalidCredentials, []string{"cannot be read"}},
		"half a key":       {func(c *source.Credentials) { c.Identity = c.Identity[:200] }, source.InvalidCredentials, []string{"END line"}},
		"another's pub":    {func(c *source.Credentials) { c.PublicKey = o.read("bob.pub") }, source.InvalidCredentials, []string{"identity.pub is of another key"}},
		"garbage as pub":   {func(c *source.Credentials) { c.PublicKey = []byte(canary) }, source.InvalidCredentials, []string{"identity.pub cannot be read"}},
		"a key not let in": {func(c *source.Credentials) { c.Identity = o.read("bob") }, source.AuthenticationFailed, []string{"ssh-ed25519 SHA256:", "deploy key"}},
	} {
		t.Run(name, func(t *testing.T) {
			given := good
			c.change(&given)
			if refused := o.with(given).refused(c.reason, c.words...); refused.err.Transient() {
				t.Error("nothing changes by itself")
			}
		})
	}
	t.Run("rotated", func(t *testing.T) {
		current := o.as("bob")
		r := o.open(source.Options{Credentials: func(context.Context) (source.Credentials, error) { return current, nil }})
		r.refused(source.AuthenticationFailed)
		current = good
		r.fetch()
	})
	t.Run("no repository there", func(t *testing.T) {
		o.open(source.Options{URL: o.ssh.URL("other"), Credentials: credentials(good)}).
			refused(source.RepositoryNotFound, "does not appear to be a git repository", "check the URL's path")
	})
	t.Run("odd path", func(t *testing.T) {
		o.open(source.Options{URL: o.ssh.URL("it's!"), Credentials: credentials(good)}).refused(source.RepositoryNotFound, "it's!.git")
		odd := filepath.Join(filepath.Dir(o.repo.Bare), "it's! $HOME.git")
		o.must(os.Rename(o.repo.Bare, odd))
		o.open(source.Options{URL: o.ssh.URL("it's!%20$HOME"), Credentials: credentials(good)}).fetch()
		o.must(os.Rename(odd, o.repo.Bare))
	})
	t.Run("empty repository", func(t *testing.T) {
		_, err := o.server.Create(t.Context(), "empty", t.TempDir())
		o.must(err)
		o.open(source.Options{URL: o.ssh.URL("empty"), Credentials: credentials(good)}).refused(source.EmptyRepository)
	})
	t.Run("limits", func(t *testing.T) {
		o.open(source.Options{Credentials: credentials(good), Limits: source.Limits{RefBytes: 20}}).
			refused(source.TooLarge, "the list of refs is longer than 20 bytes")
		o.open(source.Options{Credentials: credentials(good), Limits: source.Limits{PackBytes: 20}}).
			refused(source.TooLarge, "the pack is longer than 20 bytes")
	})
}

func TestG18KnownHosts(t *testing.T) {
	t.Parallel()
	o := newSSHOrigin(t, "ann")
	o.key("other", "", "")
	host, port, _ := strings.Cut(o.ssh.Address(), ":")
	at := "[" + host + "]:" + port + " "
	stranger := at + string(o.read("other.pub"))
	keyOf := func(kind string) string { return strings.TrimPrefix(o.known(kind), at) }
	hashed := func(lines string) string {
		name := filepath.Join(t.TempDir(), "known_hosts")
		o.must(os.WriteFile(name, []byte(lines), 0o600))
		o.keygen("-H", "-f", name)
		content, err := os.ReadFile(name)
		o.must(err)
		if strings.Contains(string(content), host) {
			t.Fatalf("not hashed: %s", content)
		}
		return string(content)
	}
	for name, c := range map[string]struct {
		lines string
		words []string // none: accepted
	}{
		"ed25519 alone":   {lines: o.known("ed25519")},
		"rsa alone":       {lines: o.known("rsa")},
		"ecdsa alone":     {lines: o.known("ecdsa")},
		"several":         {lines: "# comment\n\n" + o.known("rsa") + o.known("ecdsa")},
		"hashed":          {lines: hashed(o.known("ed25519") + o.known("rsa"))},
		"pattern":         {lines: "git.example.com,[127.0.0.*]:" + port + " " + keyOf("ed25519")},
		"old and new key": {lines: stranger + o.known("ed25519")},
		"another key":     {"#\n" + stranger, []string{"ssh-ed25519 SHA256:", "is not the one in known_hosts (line 2)", "in between"}},
		"revoked":         {o.known("ed25519") + "@revoked * " + keyOf("ed25519"), []string{"@revoked"}},
		"another port":    {host + " " + keyOf("ed25519"), []string{"known_hosts has no key of " + o.ssh.Address(), "ssh-keyscan -p " + port}},
		"another host":    {"git.example.com " + keyOf("ed25519"), []string{"known_hosts has no key of"}},
		"excluded":        {"!" + at[:len(at)-1] + ",* " + keyOf("ed25519"), []string{"known_hosts has no key of"}},
		"hashed, another": {hashed(stranger), []string{"is not the one in known_hosts (line 1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			given := o.as("ann")
			given.KnownHosts = []byte(c.lines)
			if len(c.words) == 0 {
				o.with(given).fetch()
				return
			}
			if refused := o.with(given).refused(source.UntrustedHostKey, c.words...); refused.err.Transient() {
				t.Error("a server that is not trusted is not tried again and again")
			}
		})
	}
	t.Run("malformed", func(t *testing.T) {
		given := o.as("ann")
		given.KnownHosts = []byte(o.known("rsa") + "nonsense " + canary)
		o.with(given).refused(source.InvalidCredentials, "line 2 of known_hosts cannot be read")
	})
	t.Run("a kind that the server lacks", func(t *testing.T) {
		o.keygen("-q", "-t", "ecdsa", "-b", "521", "-N", "", "-f", o.file("p521"))
		given := o.as("ann")
		given.KnownHosts = []byte(at + string(o.read("p521.pub")))
		o.with(given).refused(source.UntrustedHostKey, "no key of a kind that the server has", "ssh-ed25519")
	})
}

func TestSSHHostCertificate(t *testing.T) {
	t.Parallel()
	o := newSSHOrigin(t, "ann")
	o.key("ca", "", "")
	o.keygen("-q", "-s", o.file("ca"), "-I", "host", "-h", "-n", "127.0.0.1", o.file("host-ed25519.pub"))
	o.serve("HostCertificate "+o.file("host-ed25519-cert.pub"), string(o.read("ann.pub")))
	given := o.as("ann")
	given.KnownHosts = append([]byte("@cert-authority * "), o.read("ca.pub")...)
	o.with(given).refused(source.UntrustedHostKey) // "*" is port 22 only
	_, port, _ := strings.Cut(o.ssh.Address(), ":")
	given.KnownHosts = append([]byte("@cert-authority [*]:"+port+" "), o.read("ca.pub")...)
	o.with(given).fetch()
	given.KnownHosts = append([]byte("@cert-authority [*]:"+port+" "), o.read("ann.pub")...)
	o.with(given).refused(source.UntrustedHostKey)
}
