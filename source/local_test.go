package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// local reads paths of a ref of a repository, and closes it when the test ends.
func local(t *testing.T, dir, ref string, paths ...string) (source.Snapshot, error) {
	t.Helper()
	repository, err := source.OpenLocal(dir)
	if err != nil {
		return source.Snapshot{}, err
	}
	t.Cleanup(func() {
		if err := repository.Close(); err != nil {
			t.Error(err)
		}
	})
	return repository.Snapshot(t.Context(), ref, paths...)
}

func mustLocal(t *testing.T, dir, ref string, paths ...string) source.Snapshot {
	t.Helper()
	snapshot, err := local(t, dir, ref, paths...)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestLocalRefs(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	first := o.push("a", "1")
	o.must(o.repo.Tag(t.Context(), "v1", ""))
	o.must(o.repo.Tag(t.Context(), "annotated", "a message"))
	o.must(o.repo.Branch(t.Context(), "team/feature"))
	second := o.push("a", "2")
	o.must(o.repo.Push(t.Context(), "v1", "annotated"))
	o.git("", "fetch", "--quiet", "origin")

	for _, c := range []struct {
		dir, ref, revision string
		commit             source.Commit
	}{
		{o.repo.Bare, "main", "main@", first},
		{o.repo.Bare, "HEAD", "main@", first},
		{o.repo.Bare, "team/feature", "team/feature@", second},
		{o.repo.Bare, "refs/heads/team/feature", "refs/heads/team/feature@", second},
		{o.repo.Bare, "heads/main", "heads/main@", first},
		{o.repo.Bare, "v1", "v1@", first},
		{o.repo.Bare, "annotated", "annotated@", first},
		{o.repo.Bare, string(second), "", second},
		{o.repo.Bare, strings.ToUpper(string(second)), "", second},
		{o.repo.Bare, string(second[:7]), "", second},
		{o.repo.Bare, string(second[:12]), "", second},
		{o.repo.Dir, "HEAD", "team/feature@", second},
		{o.repo.Dir, "origin/main", "origin/main@", first},
	} {
		snapshot := mustLocal(t, c.dir, c.ref)
		if want := c.revision + "sha1:" + string(c.commit); snapshot.Commit != c.commit || snapshot.Revision != want {
			t.Errorf("%s: got commit %s as %q, want %q", c.ref, snapshot.Commit, snapshot.Revision, want)
		}
	}
	o.git("", "checkout", "--quiet", "--detach", string(first))
	if snapshot := mustLocal(t, o.repo.Dir, "HEAD"); snapshot.Revision != "HEAD@sha1:"+string(first) {
		t.Errorf("a detached HEAD is %q", snapshot.Revision)
	}
	for ref, words := range map[string][]string{
		"mian":                           {"cannot read " + o.repo.Bare + ": ref mian not found", "the repository has main, "},
		"v2":                             {"ref v2 not found", "the repository has v1, "},
		"../../config":                   {"not found"},
		"config":                         {"ref config not found"},
		"main\x1b[31m":                   {`"main\x1b[31m" not found`},
		"refs/heads/none":                {"not found"},
		strings.Repeat("0", 40):          {"commit " + strings.Repeat("0", 40) + " not found", "fetch it first"},
		"0000":                           {"ref 0000 not found"},
		o.git("", "rev-parse", "HEAD:a"): {"points to a blob"},
	} {
		_, err := local(t, o.repo.Bare, ref)
		checkError(t, err, source.RefNotFound, words...)
	}
}

func TestLocalAbbreviationOfSeveralCommits(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	tree := o.git("", "mktree")
	byPrefix := map[string]string{}
	for i := 0; ; i++ { // some 300 commits until two begin with the same four digits
		commit := o.git("", "commit-tree", "-m", strings.Repeat("x", i), tree)
		if other, found := byPrefix[commit[:4]]; found {
			_, err := local(t, o.repo.Dir, commit[:4])
			both := []string{commit, other}
			slices.Sort(both)
			checkError(t, err, source.InvalidRef, strings.Join(both, ", "), "give more digits")
			return
		}
		byPrefix[commit[:4]] = commit
	}
}

func TestLocalPaths(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("prod/a.yaml", "a", "prod/sub/b.yaml", "b", "staging/c.yaml", "c", "top.yaml", "top")
	blob := o.git("target", "hash-object", "-w", "--stdin")
	o.git("", "update-index", "--add", "--cacheinfo", "120000,"+blob+",odd/link.yaml")
	o.git("", "commit", "--quiet", "--message", "a link")
	for _, c := range []struct {
		paths []string
		files []string
		not   string
	}{
		{[]string{"prod"}, []string{"prod/a.yaml", "prod/sub/b.yaml"}, "staging"},
		{[]string{"prod/sub", "staging"}, []string{"prod/sub/b.yaml", "staging/c.yaml"}, "prod/a.yaml"},
		{[]string{"prod/a.yaml"}, []string{"prod/a.yaml"}, "prod/sub"},
		{[]string{"prod/a.yaml", "prod", "prod/sub"}, []string{"prod/a.yaml", "prod/sub/b.yaml"}, "top.yaml"},
		{[]string{"prod", "prod/a.yaml", "top.yaml"}, []string{"prod/a.yaml", "prod/sub/b.yaml", "top.yaml"}, "odd"},
	} {
		tree := mustLocal(t, o.repo.Dir, "HEAD", c.paths...).Tree
		if err := fstest.TestFS(tree, c.files...); err != nil {
			t.Errorf("%q: %v", c.paths, err)
		}
		beside, err := fs.ReadDir(tree, path.Dir(c.not))
		if err != nil || slices.ContainsFunc(beside, func(e fs.DirEntry) bool { return e.Name() == path.Base(c.not) }) {
			t.Errorf("%q: %s is listed beside it: %v", c.paths, c.not, err)
		}
		// What no path names is there for who asks for it by name, as kustomizations do for their bases.
		if _, err := fs.Stat(tree, c.not); err != nil {
			t.Errorf("%q: %v", c.paths, err)
		}
	}
	for path, c := range map[string]struct {
		reason source.Reason
		words  string
	}{
		".":             {source.UnsupportedEntry, "odd/link.yaml is a symbolic link"},
		"odd":           {source.UnsupportedEntry, "odd/link.yaml is a symbolic link"},
		"odd/link.yaml": {source.UnsupportedEntry, "odd/link.yaml is a symbolic link"},
		"prodd":         {source.PathNotFound, "path prodd not found"},
		"prod/none":     {source.PathNotFound, "prod has the directories sub"},
		"prod/a.yaml/x": {source.PathNotFound, "path prod/a.yaml is a file"},
		"../x":          {source.InvalidPath, "leads upwards"},
	} {
		_, err := local(t, o.repo.Dir, "HEAD", path)
		checkError(t, err, c.reason, c.words)
	}
}

// Repositories come in many shapes; each is read, or refused with the way out.
func TestLocalShapes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	commit := o.push("a", "2", "sub/b", "b")
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	file := "file://" + o.repo.Bare
	o.git("", "--git-dir", o.repo.Bare, "config", "uploadpack.allowFilter", "true")
	o.git("", "clone", "--quiet", "--depth=1", file, at("shallow"))
	o.git("", "clone", "--quiet", "--filter=blob:none", "--no-checkout", file, at("partial"))
	o.git("", "clone", "--quiet", "--shared", "--bare", o.repo.Bare, at("shared.git"))
	o.git("", "clone", "--quiet", "--mirror", file, at("mirror.git"))
	o.git("", "worktree", "add", "--quiet", "--detach", at("linked"))
	o.git("", "clone", "--quiet", file, at("sparse"))
	o.git("", "-C", at("sparse"), "sparse-checkout", "set", "sub")
	o.git("", "clone", "--quiet", file, at("packed"))
	o.git("", "-C", at("packed"), "gc", "--quiet")

	for _, name := range []string{"shallow", "shared.git", "mirror.git", "linked", "sparse", "packed"} {
		t.Run(name, func(t *testing.T) {
			snapshot := mustLocal(t, at(name), "HEAD")
			if got := content(t, snapshot, "sub/b"); got != "b" || snapshot.Commit != commit {
				t.Errorf("got %q of %s", got, snapshot.Commit)
			}
			if info, err := fs.Stat(snapshot.Tree, "sub/b"); err != nil || info.Size() != 1 {
				t.Errorf("its size is unknown: %v", err)
			}
		})
	}
	t.Run("partial", func(t *testing.T) {
		_, err := local(t, at("partial"), "HEAD")
		checkError(t, err, source.StoreFailed, "it lacks objects of the commit, as a shallow or partial clone does", "--filter")
	})
	t.Run("shallow history", func(t *testing.T) {
		_, err := local(t, at("shallow"), o.git("", "rev-parse", "HEAD~1"))
		checkError(t, err, source.RefNotFound, "a shallow clone has only the newest commits")
	})
	t.Run("empty", func(t *testing.T) {
		o.git("", "init", "--quiet", "--bare", at("empty.git"))
		_, err := local(t, at("empty.git"), "HEAD")
		checkError(t, err, source.RefNotFound, "no branch and no tag yet")
	})
	t.Run("no repository", func(t *testing.T) {
		_, err := local(t, dir, "HEAD")
		checkError(t, err, source.RepositoryNotFound, "cannot read "+dir+": it is no Git repository")
	})
	for name, flag := range map[string]string{"objectformat": "--object-format=sha256", "refstorage": "--ref-format=reftable"} {
		t.Run(name, func(t *testing.T) {
			if _, err := o.repo.Git(t.Context(), "init", "--quiet", "--bare", flag, at(name)); err != nil {
				t.Skipf("this git cannot make one: %v", err)
			}
			_, err := local(t, at(name), "HEAD")
			checkError(t, err, source.UnsupportedURL, "extensions."+name, "check the commit out")
		})
	}
}

func TestFindLocal(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("prod/a.yaml", "a")
	for name, want := range map[string][2]string{
		o.repo.Bare: {o.repo.Bare, "."},
		filepath.Join(o.repo.Bare, "prod", "a.yaml"): {o.repo.Bare, "prod/a.yaml"},
		o.repo.Dir:                             {o.repo.Dir, "."},
		filepath.Join(o.repo.Dir, "prod"):      {o.repo.Dir, "prod"},
		filepath.Join(o.repo.Dir, "gone", "x"): {o.repo.Dir, "gone/x"},
	} {
		dir, inside, found := source.FindLocal(name)
		if !found || dir != want[0] || inside != want[1] {
			t.Errorf("%s: got %s and %s, %v", name, dir, inside, found)
		}
	}
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, ".git"), []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if dir, _, found := source.FindLocal(filepath.Join(outside, "x")); found && strings.HasPrefix(dir, outside) {
		t.Errorf("found a repository in %s", dir)
	}
}

// TestLocalFetch reads each ref from the disk and from a server of the same repository: both find the same commit, under the same name.
func TestLocalFetch(t *testing.T) {
	o := newOrigin(t, gitserver.Options{})
	first := o.push("prod/a", "1", "b", "outside")
	o.must(o.repo.Tag(t.Context(), "v1.0.0", ""))
	o.must(o.repo.Tag(t.Context(), "v1.1.0", "a message"))
	o.must(o.repo.Branch(t.Context(), "team/feature"))
	o.push("prod/a", "2")
	o.must(o.repo.Push(t.Context(), "v1.0.0", "v1.1.0"))

	for _, ref := range []source.Ref{
		{},
		{Branch: "team/feature"},
		{Tag: "v1.0.0"},
		{Tag: "v1.1.0"},
		{SemVer: "1.x"},
		{Name: "refs/heads/main"},
		{Commit: first},
		{Branch: "absent"},
		{SemVer: ">=2"},
		{Branch: "one", Tag: "two"},
		{Commit: "1234567890123456789012345678901234567890"},
	} {
		for _, at := range []string{"", "prod", "absent", "../up"} {
			t.Run(strings.Join([]string{ref.Branch, ref.Tag, ref.SemVer, string(ref.Commit), ref.Name, at}, " "), func(t *testing.T) {
				want, wantErr := fetchOnce(t, source.Options{URL: o.url, AllowInsecure: true, Ref: ref, Path: at})
				got, gotErr := fetchLocal(t, o.repo.Bare, ref, at)
				if reasonOf(gotErr) != reasonOf(wantErr) {
					t.Fatalf("on disk: %v; on the server: %v", gotErr, wantErr)
				}
				if wantErr != nil {
					return
				}
				if got.Commit != want.Commit || got.Revision != want.Revision || got.Path != want.Path {
					t.Errorf("on disk: %s %s %s; on the server: %s %s %s", got.Commit, got.Revision, got.Path, want.Commit, want.Revision, want.Path)
				}
				if on, at := content(t, got, "prod/a"), content(t, want, "prod/a"); on != at {
					t.Errorf("prod/a on disk: %q; on the server: %q", on, at)
				}
			})
		}
	}
}

func fetchOnce(t *testing.T, options source.Options) (source.Snapshot, error) {
	t.Helper()
	options.Dir = t.TempDir()
	repository, err := source.Open(options)
	if err != nil {
		return source.Snapshot{}, err
	}
	t.Cleanup(func() {
		if err := repository.Close(); err != nil {
			t.Error(err)
		}
	})
	return repository.Fetch(t.Context())
}

func fetchLocal(t *testing.T, dir string, ref source.Ref, at string) (source.Snapshot, error) {
	t.Helper()
	repository, err := source.OpenLocal(dir)
	if err != nil {
		return source.Snapshot{}, err
	}
	return repository.Fetch(t.Context(), ref, at)
}

func reasonOf(err error) source.Reason {
	failure, _ := errors.AsType[*source.Error](err)
	if failure == nil {
		return ""
	}
	return failure.Reason
}
