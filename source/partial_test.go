package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// sent returns how many bytes of packs the server has sent since it was asked last, and in how many requests.
func (o *origin) sent() (bytes int64, requests int) {
	for _, request := range o.server.Fetches() {
		bytes += request.Bytes
		requests++
	}
	o.server.Forget()
	return bytes, requests
}

func TestPartCostsWhatThePathHolds(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Parts: true})
	noise := func() string { return fmt.Sprintf("%x", rand.New(rand.NewPCG(1, rand.Uint64())).Perm(20_000)) }
	for i := range 20 {
		o.must(o.repo.Write(fmt.Sprintf("other/d%d/big", i), noise()))
		o.must(o.repo.Write(fmt.Sprintf("teams/a/prod/f%d.yaml", i), fmt.Sprint("file ", i)))
	}
	o.push("big", noise(), "teams/b/big", noise())
	r := o.open(source.Options{Path: "teams/a/prod"})
	snapshot := r.fetch()
	if bytes, requests := o.sent(); bytes > 5_000 || requests != 5 {
		t.Errorf("the clone took %d bytes in %d requests; want the path's, in one for the commit and one for each directory that leads to the path", bytes, requests)
	}
	if got := content(t, snapshot, "teams/a/prod/f7.yaml"); got != "file 7" {
		t.Errorf("got %q", got)
	}

	o.push("other/d1/big", noise(), "other/new/big", noise())
	next := r.fetch()
	if bytes, requests := o.sent(); bytes > 2_000 || requests != 1 {
		t.Errorf("a push outside of the path took %d bytes in %d requests; want the commit and some directories", bytes, requests)
	}
	if next.Commit == snapshot.Commit || next.Rewritten != "" {
		t.Errorf("got %s, which is said to replace %q", next.Commit, next.Rewritten)
	}

	o.push("teams/a/prod/f7.yaml", "changed", "other/d2/big", noise())
	next = r.fetch()
	if bytes, requests := o.sent(); bytes > 2_000 || requests != 2 {
		t.Errorf("one changed file took %d bytes in %d requests; want the commit and some directories, then the file", bytes, requests)
	}
	if got := content(t, next, "teams/a/prod/f7.yaml"); got != "changed" {
		t.Errorf("got %q", got)
	}
	for path, reason := range map[string]source.Reason{"teams/c": source.PathNotFound, "big": source.PathNotFound, "teams/a/prod/x": source.PathNotFound} {
		o.open(source.Options{Path: path}).refused(reason)
	}
	if bytes, _ := o.sent(); bytes > 5_000 {
		t.Errorf("paths that are not there took %d bytes", bytes)
	}
}

// What a snapshot of a part holds is what git says is below the path, whatever was done to the history.
func TestPartIsReadWhole(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t, gitserver.Options{Parts: true})
			h := &history{origin: o, random: rand.New(rand.NewPCG(seed, 0))}
			h.push("a/prod/keep", "kept", "a/base/keep", "kept", "x/keep", "kept")
			r := o.open(source.Options{Path: "a/prod", Ref: source.Ref{Branch: "main"}})
			for step := range 25 {
				does := h.step()
				h.must(h.repo.ForcePush(t.Context(), "HEAD:refs/heads/main"))
				snapshot := r.fetch()
				if got, want := read(t, snapshot.Tree, "a/prod"), h.listed("a/prod"); got != want {
					t.Fatalf("step %d, %s: the path holds\n%s\nwant\n%s", step, does, got, want)
				}
				if got, want := read(t, snapshot.Tree, "a/base"), h.listed("a/base"); step%4 == 0 && got != want {
					t.Fatalf("step %d, %s: outside of the path is\n%s\nwant\n%s", step, does, got, want)
				}
			}
		})
	}
}

// history is a repository that things happen to.
type history struct {
	*origin
	random *rand.Rand
	count  int
}

// name returns one of few names, inside the path or outside of it.
func (h *history) name() string {
	dirs := []string{"a/prod", "a/prod/sub", "a/base", "a/base/sub/deep", "x", "."}
	return fmt.Sprintf("%s/f%d", dirs[h.random.IntN(len(dirs))], h.random.IntN(3))
}

// step does something, which may come to nothing, and says what.
func (h *history) step() string {
	h.count++
	switch h.random.IntN(6) {
	case 0, 1:
		name := h.name()
		h.commit(name, fmt.Sprint(h.count), h.name(), fmt.Sprint(h.count, " too"))
		return "write " + name
	case 2: // what the server takes for known, for it was in the last commit
		from, to := h.name(), h.name()
		h.must(os.MkdirAll(filepath.Join(h.repo.Dir, filepath.Dir(to)), 0o755))
		_ = os.Rename(filepath.Join(h.repo.Dir, from), filepath.Join(h.repo.Dir, to))
		h.commit()
		return "move " + from + " to " + to
	case 3: // and whole directories
		from, to := "a/base/sub", "a/prod/moved"
		if h.random.IntN(2) == 0 {
			from, to = to, from
		}
		_ = h.repo.Remove(to)
		h.must(os.MkdirAll(filepath.Join(h.repo.Dir, filepath.Dir(to)), 0o755))
		_ = os.Rename(filepath.Join(h.repo.Dir, from), filepath.Join(h.repo.Dir, to))
		h.commit()
		return "move " + from + " to " + to
	case 4: // an older commit, of which there may be many
		back := fmt.Sprint("HEAD~", h.random.IntN(3))
		if _, err := h.repo.Git(h.Context(), "reset", "--quiet", "--hard", back); err != nil {
			return "nothing"
		}
		h.must(h.repo.Write("x/after", fmt.Sprint(h.count)))
		h.commit()
		return "go back to " + back
	default: // a branch that forked a while ago
		if _, err := h.repo.Git(h.Context(), "checkout", "--quiet", "-B", "side", fmt.Sprint("HEAD~", 1+h.random.IntN(3))); err != nil {
			return "nothing"
		}
		h.commit(h.name(), fmt.Sprint(h.count, " aside"))
		h.git("", "checkout", "--quiet", "main")
		h.git("", "merge", "--quiet", "--no-edit", "--strategy-option=theirs", "side")
		return "merge"
	}
}

// listed is what git says of the files in a directory: names and contents.
func (h *history) listed(dir string) string {
	h.Helper()
	var text strings.Builder
	for line := range strings.Lines(h.git("", "ls-tree", "-r", "--format=%(objectname) %(path)", "HEAD", dir+"/") + "\n") {
		if blob, name, found := strings.Cut(strings.TrimSpace(line), " "); found {
			fmt.Fprintf(&text, "%s: %s\n", name, h.git("", "cat-file", "blob", blob))
		}
	}
	return text.String()
}

// read is the same of a tree.
func read(t *testing.T, tree fs.FS, dir string) string {
	t.Helper()
	var text strings.Builder
	err := fs.WalkDir(tree, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		fmt.Fprintf(&text, "%s: %s\n", name, data)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return text.String()
}

func TestOutsideOfThePathIsBroughtWhenAskedFor(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Parts: true})
	o.push("prod/a", "a", "shared/base/one", "1", "shared/base/two", "2", "shared/base/more/three", "3", "shared/big", strings.Repeat("big ", 1000))
	broken := false
	o.behind(func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if broken {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			git.ServeHTTP(w, r)
		}
	})
	r := o.open(source.Options{Path: "prod"})
	snapshot := r.fetch()
	o.server.Forget()
	broken = true
	_, err := fs.ReadFile(snapshot.Tree, "shared/base/one")
	checkError(t, err, source.ServerError)
	broken = false
	if again := r.fetch(); again != snapshot {
		t.Error("a server that does not answer was taken for a store that is damaged")
	}
	if got := content(t, snapshot, "shared/base/one") + content(t, snapshot, "shared/base/two"); got != "12" {
		t.Errorf("got %q", got)
	}
	if bytes, requests := o.sent(); requests != 3 || bytes > 2_000 {
		t.Errorf("two files of a directory took %d bytes in %d requests; want one for each directory, and one for the files", bytes, requests)
	}
	if _, err := fs.ReadFile(snapshot.Tree, "shared/base/four"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if got := read(t, snapshot.Tree, "shared/base"); got != "shared/base/more/three: 3\nshared/base/one: 1\nshared/base/two: 2\n" {
		t.Errorf("got %q", got)
	}
}

// Servers that say they can and then refuse are asked for the whole commit.
func TestServerThatRefusesParts(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"no filter by tree":      {"uploadpackfilter.tree.allow", "false"},
		"no filter at all":       {"uploadpackfilter.allow", "false"},
		"reachable commits only": {"uploadpack.allowAnySHA1InWant", "false", "uploadpack.allowTipSHA1InWant", "true", "uploadpack.allowReachableSHA1InWant", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOrigin(t, gitserver.Options{Parts: true})
			for i := 0; i < len(settings); i += 2 {
				o.git("", "--git-dir", o.repo.Bare, "config", settings[i], settings[i+1])
			}
			o.push("prod/a", "1", "other/b", "2")
			r := o.open(source.Options{Path: "prod"})
			if got := content(t, r.fetch(), "prod/a"); got != "1" {
				t.Errorf("got %q", got)
			}
			o.push("prod/a", "3", "other/b", "4")
			snapshot := r.fetch()
			if got := content(t, snapshot, "prod/a") + content(t, snapshot, "other/b"); got != "34" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestSubmodulesInAPart(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{Parts: true})
	lib := newLibrary(o, "lib")
	o.push("prod/a.yaml", "a", "other/b", "b")
	o.pin("prod/lib", "../lib.git", lib.push("b.yaml", "b"))
	r := o.open(source.Options{Submodules: true, Path: "prod", Timeout: time.Minute})
	if got := content(t, r.fetch(), "prod/lib/b.yaml"); got != "b" {
		t.Errorf("got %q", got)
	}
	o.pin("prod/lib", "", lib.push("b.yaml", "bb"))
	if got := content(t, r.fetch(), "prod/lib/b.yaml"); got != "bb" {
		t.Errorf("got %q", got)
	}
}
