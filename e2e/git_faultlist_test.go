package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kilter.dev/kilter/internal/needs"
)

// gitFault is one way in which a repository or its server goes wrong, or a commit is bad. What has to hold meanwhile and afterwards is the same
// for all: TestGitFaults.
type gitFault struct {
	name   string
	reason string // of the condition Ready
	class  string // of the looks that fail, as kilter_fetch_total has it; empty where they succeed
	says   string // part of the condition's message

	breaks func(*faulty) (mend func()) // after the next commit was written, and before it is pushed
	asks   int                         // looks that fail before it is mended; 3 when zero
	taken  bool                        // the commit is applied nevertheless, and prune is not
}

// gitFaults are G1 to G21 of what must be survived, as far as one repository's history can show them: G2 that is not too slow, G8 and G15 are
// TestG8RewrittenHistory and TestG15CommitsAreNeverMixed.
var gitFaults = []gitFault{
	{name: "G1 down", reason: "FetchFailed", class: "Unreachable", says: "connection refused", breaks: func(f *faulty) func() {
		f.stop()
		return f.start
	}},
	{name: "G1 hangs up", reason: "FetchFailed", class: "Unreachable", says: "the connection broke", breaks: func(f *faulty) func() {
		return f.does(func(http.Handler) http.HandlerFunc {
			return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		})
	}},
	{name: "G2 too slow", reason: "FetchFailed", class: "Timeout", says: "did not finish in time", asks: 2, breaks: func(f *faulty) func() {
		return f.does(endlessRefs(1, 50*time.Millisecond))
	}},
	{name: "G3 silent", reason: "FetchFailed", class: "Timeout", says: "did not finish in time", asks: 2, breaks: func(f *faulty) func() {
		f.silent.Store(true)
		return func() { f.silent.Store(false) }
	}},
	{name: "G3 stalled pack", reason: "FetchFailed", class: "Timeout", says: "did not finish in time", asks: 2, breaks: func(f *faulty) func() {
		return f.does(packs(func(w http.ResponseWriter, r *http.Request, answer []byte) {
			_, _ = w.Write(answer[:len(answer)/2])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
	}},
	{name: "G4 truncated pack", reason: "FetchFailed", class: "BadResponse", says: "makes no sense", breaks: func(f *faulty) func() {
		return f.does(packs(func(w http.ResponseWriter, _ *http.Request, answer []byte) { _, _ = w.Write(answer[:len(answer)/2]) }))
	}},
	{name: "G5 forbidden", reason: "FetchFailed", class: "AccessDenied", says: "(403)", breaks: func(f *faulty) func() {
		return f.does(answers(http.StatusForbidden))
	}},
	{name: "G5 not found", reason: "FetchFailed", class: "RepositoryNotFound", says: "(404)", breaks: func(f *faulty) func() {
		return f.does(answers(http.StatusNotFound))
	}},
	{name: "G6 overloaded", reason: "FetchFailed", class: "ServerError", says: "(503)", breaks: func(f *faulty) func() {
		return f.does(answers(http.StatusServiceUnavailable))
	}},
	{name: "G6 too many requests", reason: "FetchFailed", class: "ServerError", says: "left alone until", breaks: func(f *faulty) func() {
		asked := f.looks.Load()
		mend := f.does(answers(http.StatusTooManyRequests, "Retry-After", "2"))
		return func() {
			if n := f.looks.Load() - asked; n > 3 { // one before the fault, one that was refused, one more after two seconds
				f.Errorf("asked %d times, though it wanted to be left alone", n)
			}
			mend()
		}
	}},
	{name: "G7 login page", reason: "FetchFailed", class: "NotGit", says: "login page", breaks: func(f *faulty) func() {
		return f.does(answers(http.StatusOK))
	}},
	{name: "G9 branch deleted", reason: "FetchFailed", class: "RefNotFound", says: `branch "main" not found; the repository has other`, breaks: func(f *faulty) func() {
		f.refs = []string{"HEAD:other"}
		f.bare("update-ref", "-d", "refs/heads/main")
		return func() { f.push("HEAD:main", ":other") }
	}},
	{name: "G10 empty repository", reason: "FetchFailed", class: "EmptyRepository", says: "push a first commit", breaks: func(f *faulty) func() {
		f.refs = []string{"HEAD:other"}
		f.after = func() {
			f.bare("update-ref", "-d", "refs/heads/main")
			f.bare("update-ref", "-d", "refs/heads/other")
		}
		return func() { f.push("HEAD:main") }
	}},
	{name: "G11 path missing", reason: "FetchFailed", class: "PathNotFound", says: "path prod not found", breaks: func(f *faulty) func() {
		must(f.T, f.repo.Remove("prod"))
		return f.commits(f.files)
	}},
	{name: "G12 deletes more than maxPrune", reason: "PruneBlocked", says: "the commit deletes 2 of", taken: true, breaks: func(f *faulty) func() {
		must(f.T, f.repo.Remove("prod/keep.yaml"))
		return f.commits(f.files)
	}},
	poison("G13 syntax", "prod/bad.yaml:2:1: not valid YAML", "apiVersion: v1\nkind: [\n"),
	poison("G13 aliases", "prod/bad.yaml:4:", aliases()),
	poison("G13 nesting", "prod/bad.yaml:1:1: not valid YAML: exceeded max depth", "data: "+strings.Repeat("[", 20_000)),
	poison("G13 100,000 documents", "prod/bad.yaml:2:1: apiVersion and kind are missing (a file that is no manifest goes into .kilterignore) (and 100 more)",
		strings.Repeat("---\na: 1\n", 100_000)),
	poison("G13 50 MB", "prod/bad.yaml: larger than 1048576 bytes", strings.Repeat("a: 1\n", 10<<20)),
	poison("G13 100,000 problems", "prod/bad.yaml:5:1: ConfigMap faults-", wrongObjects(1_000)),
	poison("G14 twice", "the same object is also given in prod/", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep}\n"),
	{name: "G16 disk full", reason: "FetchFailed", class: "StoreFailed", says: "no space left on device", breaks: func(f *faulty) func() {
		if !f.mounted {
			needs.Missing(f, "needs to mount a small file system, which only root may")
		}
		must(f.T, f.repo.Write("prod/noise", noise(16<<20)))
		return func() {
			must(f.T, syscall.Mount("tmpfs", f.dataDir, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
			must(f.T, f.repo.Remove("prod/noise")) // of the next commit
		}
	}},
	{name: "G17 credentials rotated", reason: "FetchFailed", class: "AuthenticationFailed", says: "does not accept the user name and password (401)", breaks: func(f *faulty) func() {
		next := gitPassword + "-rotated"
		f.password.Store(&next)
		return f.putSecret
	}},
	{name: "G18 another certificate", reason: "FetchFailed", class: "UntrustedCertificate", says: "give the CA that signed it", breaks: func(f *faulty) func() {
		f.newCertificate()
		return f.putSecret
	}},
	{name: "G19 pack bomb", reason: "CommitRejected", says: "prod/bomb.yaml: larger than 1048576 bytes", breaks: func(f *faulty) func() {
		must(f.T, f.repo.Write("prod/bomb.yaml", ""))
		must(f.T, os.Truncate(filepath.Join(f.repo.Dir, "prod/bomb.yaml"), 256<<20)) // 260 KB as git packs it
		return f.commits(func() { must(f.T, f.repo.Remove("prod/bomb.yaml")) })
	}},
	{name: "G19 endless refs", reason: "FetchFailed", class: "TooLarge", says: "the list of refs is longer than", breaks: func(f *faulty) func() {
		return f.does(endlessRefs(64<<10, 0))
	}},
	{name: "G20 redirect", reason: "FetchFailed", class: "Redirected", says: "change the URL", breaks: func(f *faulty) func() {
		elsewhere := newFront(f.T, gitPassword)
		mend := f.does(func(http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://"+elsewhere.address+r.URL.RequestURI(), http.StatusFound)
			}
		})
		return func() {
			if n := elsewhere.looks.Load(); n > 0 {
				f.Errorf("the other host was asked %d times", n)
			}
			mend()
		}
	}},
	{name: "G21 symbolic link", reason: "FetchFailed", class: "UnsupportedEntry", says: "prod/link.yaml is a symbolic link", breaks: func(f *faulty) func() {
		must(f.T, os.Symlink("/etc/passwd", filepath.Join(f.repo.Dir, "prod/link.yaml")))
		return f.commits(func() { must(f.T, f.repo.Remove("prod/link.yaml")) })
	}},
	{name: "G21 control characters", reason: "FetchFailed", class: "UnsupportedEntry", says: "characters that cannot be seen", breaks: func(f *faulty) func() {
		const name = "prod/a\x1b[2J.yaml"
		must(f.T, f.repo.Write(name, ""))
		return f.commits(func() { must(f.T, f.repo.Remove(name)) })
	}},
}

// poison is a commit with a file that no commit may have.
func poison(name, says, text string) gitFault {
	return gitFault{name: name, reason: "CommitRejected", says: says, breaks: func(f *faulty) func() {
		must(f.T, f.repo.Write("prod/bad.yaml", text))
		return f.commits(func() { must(f.T, f.repo.Remove("prod/bad.yaml")) })
	}}
}

// aliases are a few lines that stand for a quadrillion values.
func aliases() string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na: &a [x]\n"
	for c := 'b'; c <= 'z'; c++ {
		text += fmt.Sprintf("%c: &%c [*%c, *%c, *%c, *%c]\n", c, c, c-1, c-1, c-1, c-1)
	}
	return text
}

// wrongObjects are objects with a hundred unknown fields each.
func wrongObjects(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a%d}\n", i)
		for j := range 100 {
			fmt.Fprintf(&text, "f%d: x\n", j)
		}
	}
	return text.String()
}
