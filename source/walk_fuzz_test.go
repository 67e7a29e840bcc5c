package source_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"kilter.dev/kilter/source"
)

// Whatever a tree holds, what is read of it is plain files under plain names, all of them; or it is refused with a reason.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		"100644 a.yaml|b|", "100755 run.sh|b|", "40000 dir|d|", "40000 dir|d|100644 dir|b|", "120000 link|b|", "160000 sub|b|",
		"100644 .git|b|", "40000 .GIT|d|", "100644 git~1|b|", "100644 aux.yaml|b|", "100644 a\\b|b|", "100644 a/b|b|", "100644 ..|b|",
		"100644 a\x1b[2J|b|", "100644 \xff\xfe|b|", "100644 |b|", "100644 a|b|100644 a|b|", "40000 loop|b|", "100644 tree|d|", "100644 gone|?|",
		"0 a|b|", "777777777777 a|b|", "100644 a", "40000 prod|d|100644 x|b|",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		root, want := writeTree(t, dir, text)
		commit := writeObject(t, dir, "commit", fmt.Appendf(nil, "tree %s\nauthor a <a> 1 +0000\ncommitter a <a> 1 +0000\n\nc\n", root))
		for name, content := range map[string]string{"HEAD": "ref: refs/heads/main\n", "refs/heads/main": commit + "\n", "config": "[core]\n\tbare = true\n"} {
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		local, err := source.OpenLocal(dir)
		must(t, err)
		snapshot, err := local.Snapshot(t.Context(), "main", ".")
		if err != nil {
			refused, ok := errors.AsType[*source.Error](err)
			if !ok {
				t.Fatalf("got %T %v", err, err)
			}
			checkError(t, err, refused.Reason)
			return
		}
		files := 0
		must(t, fs.WalkDir(snapshot.Tree, ".", func(name string, entry fs.DirEntry, err error) error {
			must(t, err)
			base := path.Base(name)
			if strings.EqualFold(base, ".git") || strings.ContainsAny(base, `\`) || strings.ContainsFunc(base, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("the tree holds %q", name)
			}
			if !entry.IsDir() {
				files++
				_, err = fs.ReadFile(snapshot.Tree, name)
			}
			return err
		}))
		if files != want {
			t.Errorf("%d files were read of %d", files, want)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// writeTree writes the tree that a text describes, as "mode name|target|" again and again, and returns its ID and how many files are in it. A target b
// is a file, d is a directory with one file, anything else is not there.
func writeTree(t *testing.T, dir, text string) (id string, files int) {
	t.Helper()
	blob := writeObject(t, dir, "blob", []byte("content"))
	inner := writeObject(t, dir, "tree", entry("100644 file", blob))
	var tree []byte
	for parts := strings.Split(text, "|"); len(parts) > 1; parts = parts[2:] {
		target := map[string]string{"b": blob, "d": inner}[parts[1]]
		if target == "" {
			target = strings.Repeat("ab", 20)
		}
		tree = append(tree, entry(parts[0], target)...)
		files++
	}
	return writeObject(t, dir, "tree", tree), files
}

func entry(modeAndName, id string) []byte {
	raw, _ := hex.DecodeString(id)
	return append(append([]byte(modeAndName), 0), raw...)
}

// writeObject writes a loose object and returns its ID.
func writeObject(t *testing.T, dir, kind string, content []byte) string {
	t.Helper()
	full := append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...)
	id := fmt.Sprintf("%x", sha1.Sum(full))
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write(full)
	must(t, w.Close())
	file := filepath.Join(dir, "objects", id[:2], id[2:])
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, packed.Bytes(), 0o600))
	return id
}
