package source_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// What is found in a pack is what git finds in it: the index is the same, byte for byte.
func TestIndexIsTheSameAsGits(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	random := rand.New(rand.NewPCG(1, 2))
	body := fmt.Sprintf("%x", random.Perm(5000))
	for i := range 300 {
		at := random.IntN(len(body) - 100)
		o.must(o.repo.Write(fmt.Sprintf("dir%d/f%03d", i/50, i), body[:at]+fmt.Sprint(i)+body[at+random.IntN(100):]))
	}
	o.must(o.repo.Write("large", strings.Repeat(body, 100)))
	o.must(o.repo.Write("empty", ""))
	o.push()
	o.git("", "--git-dir", o.repo.Bare, "repack", "-adfq", "--depth", "200", "--window", "300")
	dir := t.TempDir()
	snapshot := o.open(source.Options{Dir: dir}).fetch()
	packs, err := filepath.Glob(filepath.Join(dir, "*", "objects", "pack", "*.pack"))
	o.must(err)
	if len(packs) != 1 {
		t.Fatalf("packs are %v; want one", packs)
	}
	if info, err := os.Stat(packs[0]); err != nil || info.Size() > int64(len(body)*10) {
		t.Fatalf("the pack has %d bytes, %v: the server has sent no differences", info.Size(), err)
	}
	want := filepath.Join(t.TempDir(), "want.idx")
	o.git("", "index-pack", "--index-version=2", "-o", want, packs[0])
	theirs, err := os.ReadFile(want)
	o.must(err)
	ours, err := os.ReadFile(strings.TrimSuffix(packs[0], ".pack") + ".idx")
	o.must(err)
	if !bytes.Equal(ours, theirs) {
		t.Error("the index is another one than git's")
	}
	if got := content(t, snapshot, "dir5/f299"); !strings.Contains(got, "299") {
		t.Errorf("got %d bytes", len(got))
	}
}

// Packs that git would not write, but others may, and some that nobody may.
func TestOddPacks(t *testing.T) {
	t.Parallel()
	base := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	long := bytes.Repeat(base, 2)
	longer := bytes.Repeat(base, 3)
	add := func(p *packWriter, kind byte, reference, data []byte) int64 {
		return p.add(kind, int64(len(data)), reference, bytes.NewReader(data))
	}
	distance := func(p *packWriter, at int64) []byte { return back(int64(p.Len()) + 12 - at) }
	append64 := []byte{0x80, 0x80, 0x08, 0x80, 0x80, 0x0c, 0xf0, 0x00, 0x00, 0x02, 0xf0, 0x00, 0x00, 0x01} // 128 KiB -> 192 KiB
	for name, c := range map[string]struct {
		write func(p *packWriter) (id []byte)
		want  source.Reason // or else the file "a" is longer
	}{
		"bases after what builds on them": {func(p *packWriter) []byte {
			add(p, refDelta, objectID("blob", long), append64)
			add(p, refDelta, objectID("blob", base), difference(128<<10))
			add(p, blobObject, nil, base)
			return p.commitOf("a", objectID("blob", longer))
		}, ""},
		"a base that is not there": {func(p *packWriter) []byte {
			add(p, refDelta, objectID("blob", base), difference(128<<10))
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"a circle": {func(p *packWriter) []byte {
			add(p, refDelta, objectID("blob", long), append64)
			return p.commitOf("a", objectID("blob", longer))
		}, source.BadResponse},
		"an offset between objects": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			add(p, ofsDelta, distance(p, at+1), difference(128<<10))
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"a base of another size": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, long)
			add(p, ofsDelta, distance(p, at), difference(128<<10))
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"a copy beyond the base": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			add(p, ofsDelta, distance(p, at), []byte{0x80, 0x80, 0x04, 0x80, 0x80, 0x04, 0x91, 1, 0})
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"more than was said": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			add(p, ofsDelta, distance(p, at), append(difference(64<<10), 1, 'x'))
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"less than was said": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			d := difference(128 << 10)
			add(p, ofsDelta, distance(p, at), d[:len(d)-1])
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"sizes that do not end": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			add(p, ofsDelta, distance(p, at), bytes.Repeat([]byte{0xff}, 40))
			return p.commitOf("a", objectID("blob", long))
		}, source.BadResponse},
		"an object shorter than it says": {func(p *packWriter) []byte {
			p.add(blobObject, int64(len(base)), nil, bytes.NewReader(base[1:]))
			return p.commitOf("a", objectID("blob", base))
		}, source.BadResponse},
		"an endless chain": {func(p *packWriter) []byte {
			at := add(p, blobObject, nil, base)
			for range 1001 {
				next := int64(p.Len()) + 12
				add(p, ofsDelta, distance(p, at), difference(64<<10))
				at = next
			}
			return p.commitOf("a", objectID("blob", base))
		}, source.TooLarge},
		"an unknown kind": {func(p *packWriter) []byte {
			add(p, 5, nil, base)
			return p.commitOf("a", objectID("blob", base))
		}, source.BadResponse},
	} {
		t.Run(name, func(t *testing.T) {
			var p packWriter
			id := c.write(&p)
			r := (&origin{T: t, url: bomb(t, id, p.bytes(p.count))}).open(source.Options{})
			if c.want != "" {
				r.refused(c.want)
				return
			}
			if got := content(t, r.fetch(), "a"); got != string(longer) {
				t.Errorf("got %d bytes", len(got))
			}
		})
	}
}

// A pack that is too large is not fetched again and again.
func TestBombIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "1")
	r := o.open(source.Options{Limits: source.Limits{Objects: 2}})
	r.refused(source.TooLarge, "more than 2 objects")
	o.server.Forget()
	r.refused(source.TooLarge)
	if fetches := o.server.Fetches(); len(fetches) != 0 {
		t.Errorf("it was fetched again: %+v", fetches)
	}
}
