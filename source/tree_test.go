package source_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestTreeIsAFileSystem(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	files := []string{
		"a.yaml", "sub/b.yaml", "sub/deep/er/c.yaml", "sub.d", "sub-1/x", ".kilterignore", "aux.yaml", "con",
		"with space.yaml", "größe.yaml", "empty", "sub/.gitignore", "sub/.gitmodules",
	}
	var pairs []string
	for _, name := range files {
		pairs = append(pairs, "prod/"+name, "content of "+name)
	}
	pairs = append(pairs, "prod/empty", "", "outside", "x")
	o.push(pairs...)
	tree := o.open(source.Options{Path: "/prod/"}).fetch().Tree.(*source.Tree)
	if err := fstest.TestFS(tree, below("prod", files)...); err != nil {
		t.Error(err)
	}
	want := o.git("", "rev-parse", "HEAD:prod/sub/b.yaml")
	if got, err := tree.Hash("prod/sub/b.yaml"); err != nil || got != want {
		t.Errorf("hash is %s, %v; want %s", got, err, want)
	}
	for name, cause := range map[string]error{"prod/sub": fs.ErrInvalid, "none": fs.ErrNotExist, "../x": fs.ErrInvalid} {
		if _, err := tree.Hash(name); !errors.Is(err, cause) {
			t.Errorf("hash of %s: %v; want %v", name, err, cause)
		}
	}
}

// below returns the names in a directory.
func below(dir string, names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = path.Join(dir, name)
	}
	return all
}

func TestTreeIsReadWhileFetching(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "0", "b", "always")
	r := o.open(source.Options{Limits: source.Limits{Packs: 2}})
	snapshot := r.fetch()
	for i := range 8 {
		o.push("a", fmt.Sprint(i+1))
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for range 100 {
					if data, err := fs.ReadFile(snapshot.Tree, "b"); err != nil || string(data) != "always" {
						t.Errorf("read %q, %v during fetch %d", data, err, i)
						return
					}
				}
			})
		}
		next := r.fetch()
		readers.Wait()
		snapshot = next
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("prod/app/a.yaml", "a", "staging/b", "b", "file", "f")
	blob := o.git("target", "hash-object", "-w", "--stdin")
	o.git("", "update-index", "--add", "--cacheinfo", "120000,"+blob+",link")
	o.git("", "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",module")
	o.git("", "commit", "--quiet", "--message", "odd entries")
	o.must(o.repo.Push(t.Context()))

	for path, clean := range map[string]string{"prod": "prod", "./prod/app/": "prod/app", "/prod//app": "prod/app"} {
		snapshot := (&origin{T: t, url: o.url}).open(source.Options{Path: path}).fetch()
		if got := content(t, snapshot, "prod/app/a.yaml"); got != "a" || snapshot.Path != clean {
			t.Errorf("path %s: got %q below %s", path, got, snapshot.Path)
		}
	}
	for path, c := range map[string]struct {
		reason source.Reason
		words  string
	}{
		"prodd":     {source.PathNotFound, "path prodd not found in commit"},
		"prod/nope": {source.PathNotFound, "prod has the directories app"},
		"file":      {source.PathNotFound, "path file is a file"},
		"file/x":    {source.PathNotFound, "path file is a file"},
		"link":      {source.UnsupportedEntry, "path link is a symbolic link"},
		"link/x":    {source.UnsupportedEntry, "path link is a symbolic link"},
		"module":    {source.UnsupportedEntry, "path module is a submodule"},
	} {
		(&origin{T: t, url: o.url}).open(source.Options{Path: path}).refused(c.reason, c.words)
	}
	_, err := source.Open(source.Options{URL: o.url, AllowInsecure: true, Path: "prod/../.."})
	checkError(t, err, source.InvalidPath, "leads upwards")
}

func TestEmptyPath(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push()
	o.open(source.Options{}).refused(source.EmptyPath, "holds no file")
	o.push("a", "1")
	empty := o.git("", "mktree")
	o.pushTree("040000 tree " + o.git("040000 tree "+empty+"\tsub\x00", "mktree", "-z") + "\tprod")
	o.open(source.Options{Path: "prod"}).refused(source.EmptyPath, "path prod holds no file", "add manifests")
}

// pushTree pushes a commit whose root holds one entry, as git mktree reads it, beside a directory "fine".
func (o *origin) pushTree(entry string) {
	o.Helper()
	blob := o.git("fine", "hash-object", "-w", "--stdin")
	fine := o.git("100644 blob "+blob+"\ta.yaml\x00", "mktree", "-z")
	root := o.git(entry+"\x00040000 tree "+fine+"\tfine\x00", "mktree", "-z", "--missing")
	commit := o.git("", "commit-tree", "-m", "tree", root)
	o.git("", "push", "--quiet", "--force", "origin", commit+":refs/heads/main")
}

func TestG21OddEntriesAreRefusedInsideThePathAndIgnoredOutside(t *testing.T) {
	t.Parallel()
	shared := newOrigin(t, gitserver.Options{})
	shared.push("a", "1")
	for name, c := range map[string]struct {
		mode, entry, want string
	}{
		"symbolic link":       {"120000 blob", "link.yaml", "link.yaml is a symbolic link"},
		"submodule":           {"160000 commit", "lib", "lib is a submodule"},
		"newline":             {"100644 blob", "a\nb", `"odd/a\nb" has a name with characters that cannot be seen`},
		"escape sequence":     {"100644 blob", "a\x1b[31mb", `\x1b[31mb`},
		"right-to-left mark":  {"100644 blob", "a\u202eb", `a\u202eb" has a name with characters that cannot be seen`},
		"not UTF-8":           {"100644 blob", "a\xffb", "not UTF-8"},
		"backslash":           {"100644 blob", `a\..\b`, "leads elsewhere"},
		"two dots":            {"100644 blob", "..", "leads elsewhere"},
		"dot":                 {"100644 blob", ".", "leads elsewhere"},
		"git":                 {"100644 blob", ".git", ".git has a name that belongs to Git"},
		"git in capitals":     {"100644 blob", ".GiT", ".GiT has a name that belongs to Git"},
		"git's short name":    {"100644 blob", "GIT~1", "GIT~1 has a name that belongs to Git"},
		"directory named git": {"040000 tree", ".git", ".git has a name that belongs to Git"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{T: t, server: shared.server, repo: shared.repo, url: shared.url}
			hash := o.git("target", "hash-object", "-w", "--stdin")
			switch {
			case strings.HasSuffix(c.mode, "tree"):
				hash = o.git("100644 blob "+hash+"\tx\x00", "mktree", "-z")
			case strings.HasSuffix(c.mode, "commit"):
				hash = strings.Repeat("1", 40)
			}
			odd := o.git(c.mode+" "+hash+"\t"+c.entry+"\x00", "mktree", "-z", "--missing")
			o.pushTree("040000 tree " + odd + "\todd")
			o.open(source.Options{}).refused(source.UnsupportedEntry, c.want, "put plain files in their place")
			o.open(source.Options{Path: "odd"}).refused(source.UnsupportedEntry)
			if got := content(t, o.open(source.Options{Path: "fine"}).fetch(), "fine/a.yaml"); got != "fine" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestTreeBombIsBounded(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	hash, kind := o.git("x", "hash-object", "-w", "--stdin"), "100644 blob "
	for range 10 {
		var entries strings.Builder
		for i := range 10 {
			fmt.Fprintf(&entries, "%s%s\tn%d\x00", kind, hash, i)
		}
		hash, kind = o.git(entries.String(), "mktree", "-z"), "040000 tree "
	}
	o.pushTree(kind + hash + "\tbomb")
	o.open(source.Options{Limits: source.Limits{Files: 10_000}}).refused(source.TooLarge, "more than 10000 files")
	o.open(source.Options{Path: "fine"}).fetch()
}

func TestTheRestIsThereByNameAndNotListed(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("overlays/prod/a", "a", "overlays/dev/a", "d", "base/b", "b", "base/deep/er/c", "c", "overlays/readme", "r", "top", "t")
	link := o.git("base/b", "hash-object", "-w", "--stdin")
	o.git("", "update-index", "--add", "--cacheinfo", "120000,"+link+",base/link")
	o.git("", "update-index", "--add", "--cacheinfo", "120000,"+link+",linked")
	o.git("", "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",module")
	o.git("", "commit", "--quiet", "--message", "odd entries")
	o.must(o.repo.Push(t.Context()))
	tree := o.open(source.Options{Path: "overlays/prod"}).fetch().Tree.(*source.Tree)

	listed := map[string]string{".": "overlays", "overlays": "prod", "overlays/prod": "a", "base": "b deep", "base/deep/er": "c"}
	check := func() {
		t.Helper()
		for dir, want := range listed {
			entries, err := fs.ReadDir(tree, dir)
			var names []string
			for _, entry := range entries {
				names = append(names, entry.Name())
			}
			if got := strings.Join(names, " "); got != want || err != nil {
				t.Errorf("%s lists %q, %v; want %q", dir, got, err, want)
			}
		}
	}
	check()
	for name, want := range map[string]string{
		"base/b": "b", "base/deep/er/c": "c", "overlays/dev/a": "d", "overlays/readme": "r", "top": "t", "overlays/prod/a": "a",
	} {
		data, err := fs.ReadFile(tree, name)
		hash, hashErr := tree.Hash(name)
		info, statErr := fs.Stat(tree, name)
		if string(data) != want || errors.Join(err, hashErr, statErr) != nil || info.Size() != int64(len(want)) {
			t.Errorf("%s is %q, %v", name, data, errors.Join(err, hashErr, statErr))
		}
		if want := o.git("", "rev-parse", "HEAD:"+name); hash != want {
			t.Errorf("%s has the hash %s; want %s", name, hash, want)
		}
	}
	for name, cause := range map[string]error{
		"gone": fs.ErrNotExist, "base/gone": fs.ErrNotExist, "base/b/c": fs.ErrNotExist, "overlays/prod/gone": fs.ErrNotExist,
		"base/link": fs.ErrInvalid, "linked": fs.ErrInvalid, "linked/x": fs.ErrInvalid, "module": fs.ErrInvalid, "../x": fs.ErrInvalid,
	} {
		_, err := fs.Stat(tree, name)
		if _, hashErr := tree.Hash(name); !errors.Is(err, cause) || !errors.Is(hashErr, cause) {
			t.Errorf("%s: %v, %v; want %v", name, err, hashErr, cause)
		}
	}
	if _, err := fs.Stat(tree, "base/link"); err == nil || !strings.Contains(err.Error(), "base/link is a symbolic link") {
		t.Errorf("the link is refused as %v", err)
	}
	check() // what was read by name is listed no more than before
}

func TestTheRestIsBounded(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	files := []string{"prod/a", "a"}
	for i := range 20 {
		files = append(files, fmt.Sprintf("base/%d", i), "b")
	}
	o.push(files...)
	tree := o.open(source.Options{Path: "prod", Limits: source.Limits{Files: 10}}).fetch().Tree
	if _, err := fs.Stat(tree, "base/1"); err == nil || !strings.Contains(err.Error(), "more than 10 files") {
		t.Errorf("got %v; want the limit", err)
	}
	if _, err := fs.ReadFile(tree, "prod/a"); err != nil {
		t.Error(err)
	}
}
