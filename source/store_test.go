package source_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

func TestStoreIsStartedAfreshWhenFull(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "0")
	dir := t.TempDir()
	r := o.open(source.Options{Dir: dir, Limits: source.Limits{Packs: 3}})
	var snapshots []source.Snapshot
	for i := range 10 {
		o.push("a", fmt.Sprint(i))
		snapshots = append(snapshots, r.fetch())
		if got := content(t, snapshots[i], "a"); got != fmt.Sprint(i) {
			t.Errorf("commit %d holds %q", i, got)
		}
		if i > 0 && content(t, snapshots[i-1], "a") != fmt.Sprint(i-1) {
			t.Errorf("snapshot %d cannot be read after the next fetch", i-1)
		}
	}
	stores, err := os.ReadDir(dir)
	o.must(err)
	if len(stores) != 2 {
		t.Errorf("%d stores are kept; want the current one and the one before", len(stores))
	}
	o.must(r.Close())
	stores, err = os.ReadDir(dir)
	o.must(err)
	if len(stores) != 0 {
		t.Errorf("%d stores are left after Close", len(stores))
	}
	if _, err := fs.ReadFile(snapshots[9].Tree, "a"); err == nil {
		t.Error("a snapshot was read after Close")
	}
	r.refused(source.StoreFailed, "closed")
}

func TestOpenRemovesStoresOfDeadProcess(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	dir := t.TempDir()
	o.must(os.MkdirAll(filepath.Join(dir, "kilter-objects-123", "objects"), 0o700))
	o.must(os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
	o.open(source.Options{Dir: dir})
	left, err := os.ReadDir(dir)
	o.must(err)
	if len(left) != 1 || left[0].Name() != "precious" {
		t.Errorf("left are %v; want only what is not a store", left)
	}
}

func TestDamagedStoreIsReplaced(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(dir string) error{
		"directory deleted": os.RemoveAll,
		"directory emptied": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "objects")) },
		"packs overwritten": func(dir string) error {
			return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				if err := os.Chmod(file, 0o600); err != nil {
					return err
				}
				return os.WriteFile(file, []byte(strings.Repeat("damage ", 1_000)), 0o600)
			})
		},
		"packs truncated": func(dir string) error {
			return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
				if err != nil || entry.IsDir() {
					return err
				}
				return os.Truncate(file, 20)
			})
		},
	} {
		t.Run(name+", then a push", func(t *testing.T) {
			o := newOrigin(t, gitserver.Options{})
			o.push("a", strings.Repeat("1", 100_000))
			r, dir := openInNamedStore(o)
			o.must(damage(dir))
			o.push("a", "2")
			if got := content(t, r.fetch(), "a"); got != "2" {
				t.Errorf("got %q", got)
			}
		})
		t.Run(name+", then a read", func(t *testing.T) {
			o := newOrigin(t, gitserver.Options{})
			o.push("a", "1", "b", strings.Repeat("1", 100_000))
			r, dir := openInNamedStore(o)
			snapshot := r.fetch()
			o.must(damage(dir))
			_, damaged := fs.ReadFile(snapshot.Tree, "b")
			again := r.fetch()
			if got := content(t, again, "b"); len(got) != 100_000 {
				t.Errorf("got %d bytes after a fetch; the read before it said: %v", len(got), damaged)
			}
			if damaged != nil && again.Tree == snapshot.Tree {
				t.Errorf("the damaged snapshot came again")
			}
		})
	}
}

// openInNamedStore fetches once and returns the directory of the store.
func openInNamedStore(o *origin) (*opened, string) {
	o.Helper()
	dir := o.TempDir()
	r := o.open(source.Options{Dir: dir})
	r.fetch()
	stores, err := filepath.Glob(filepath.Join(dir, "*"))
	o.must(err)
	if len(stores) != 1 {
		o.Fatalf("stores are %v; want one", stores)
	}
	return r, stores[0]
}

func TestG16StoreThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	file := filepath.Join(t.TempDir(), "file")
	o.must(os.WriteFile(file, nil, 0o600))
	r := o.open(source.Options{Dir: filepath.Join(t.TempDir(), "later")})
	r.fetch()
	_, err := source.Open(source.Options{URL: o.url, AllowInsecure: true, Dir: file})
	checkError(t, err, source.StoreFailed, "check that the directory can be written")
}
