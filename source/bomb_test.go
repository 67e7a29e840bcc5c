package source_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kilter.dev/kilter/source"
)

// The kinds of objects in a pack.
const (
	commitObject, treeObject, blobObject, ofsDelta, refDelta = 1, 2, 3, 6, 7

	bombURL   = "KILTER_TEST_BOMB_URL" // tells the child process what to fetch
	bombBytes = 256 << 20
	// The program may use 256 MiB in a cluster by default; half of that is for everything else.
	bombMemory = 128 << 20
)

// packWriter writes packs that no git would.
type packWriter struct {
	bytes.Buffer
	count uint32
}

// add writes one object, inflated to what content gives, and returns its offset.
func (p *packWriter) add(kind byte, length int64, reference []byte, content io.Reader) int64 {
	at := int64(p.Len()) + 12
	first := kind<<4 | byte(length&15)
	for length >>= 4; length > 0; length >>= 7 {
		p.WriteByte(first | 0x80)
		first = byte(length & 0x7f)
	}
	p.WriteByte(first)
	p.Write(reference)
	deflated := zlib.NewWriter(&p.Buffer)
	_, _ = io.Copy(deflated, content)
	_ = deflated.Close()
	p.count++
	return at
}

// bytes returns the pack with a header that announces count objects, and its checksum.
func (p *packWriter) bytes(count uint32) []byte {
	pack := binary.BigEndian.AppendUint32(append([]byte("PACK"), 0, 0, 0, 2), count)
	pack = append(pack, p.Bytes()...)
	sum := sha1.Sum(pack)
	return append(pack, sum[:]...)
}

// zeros reads as bombBytes zero bytes, but for a beginning.
func zeros(beginning string) io.Reader {
	return io.MultiReader(strings.NewReader(beginning), io.LimitReader(zeroReader{}, bombBytes-int64(len(beginning))))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// difference is a delta that makes a long object out of copies of a base of 64 KiB.
func difference(result int64) []byte {
	var d []byte
	for _, n := range []int64{64 << 10, result} {
		for ; n >= 0x80; n >>= 7 {
			d = append(d, byte(n)|0x80)
		}
		d = append(d, byte(n))
	}
	return append(d, bytes.Repeat([]byte{0x80}, int(result/(64<<10)))...) // 0x80: copy 64 KiB from the beginning
}

// back is how an object names its base by the distance to it.
func back(n int64) []byte {
	encoded := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		encoded = append([]byte{0x80 | byte(n&0x7f)}, encoded...)
	}
	return encoded
}

func objectID(kind string, content []byte) []byte {
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...))
	return sum[:]
}

// bomb serves a pack for whatever is asked; the ref points to the ID.
func bomb(t *testing.T, id, pack []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			ref := fmt.Sprintf("%x HEAD\x00 ofs-delta", id)
			fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s0000", 4+len(ref), ref)
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		fmt.Fprint(w, "0008NAK\n")
		_, _ = w.Write(pack)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/team.git"
}

// commitOf adds a commit of a tree with one file, and returns the commit's ID.
func (p *packWriter) commitOf(name string, blob []byte) []byte {
	tree := append([]byte("100644 "+name+"\x00"), blob...)
	p.add(treeObject, int64(len(tree)), nil, bytes.NewReader(tree))
	commit := fmt.Appendf(nil, "tree %x\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nbomb\n", objectID("tree", tree))
	p.add(commitObject, int64(len(commit)), nil, bytes.NewReader(commit))
	return objectID("commit", commit)
}

// A pack that inflates to a thousand times its size costs no memory, whatever is in it. Each is fetched by a process of its own,
// for which the kernel tells the most memory that it ever had.
func TestG19BombsAreBoundedInMemory(t *testing.T) {
	t.Parallel()
	base := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	bombs := map[string]struct {
		url  func(t *testing.T) string
		want string
	}{
		"file": {func(t *testing.T) string {
			var p packWriter
			p.add(blobObject, bombBytes, nil, zeros(""))
			hash := sha1.New()
			_, _ = io.Copy(hash, io.MultiReader(strings.NewReader(fmt.Sprintf("blob %d\x00", bombBytes)), zeros("")))
			id := p.commitOf("big.yaml", hash.Sum(nil))
			pack := p.bytes(p.count)
			if len(pack) > 300_000 {
				t.Fatalf("the pack has %d bytes", len(pack))
			}
			return bomb(t, id, pack)
		}, "it is larger than 33554432 bytes"}, // read is what can be read, and no more
		"directory": {func(t *testing.T) string {
			var p packWriter
			p.add(treeObject, bombBytes, nil, zeros("100644 a\x00"))
			return bomb(t, p.commitOf("a", make([]byte, 20)), p.bytes(p.count))
		}, "TooLarge: the pack holds a directory, commit, tag or stored difference of more than 33554432 bytes"},
		"difference": {func(t *testing.T) string {
			var p packWriter
			at := p.add(blobObject, int64(len(base)), nil, bytes.NewReader(base))
			d := difference(bombBytes)
			p.add(ofsDelta, int64(len(d)), back(int64(p.Len())+12-at), bytes.NewReader(d))
			return bomb(t, p.commitOf("a", make([]byte, 20)), p.bytes(p.count))
		}, "TooLarge: the pack holds a directory"},
		"many differences": {func(t *testing.T) string {
			var p packWriter
			at := p.add(blobObject, int64(len(base)), nil, bytes.NewReader(base))
			for i := range 15 {
				d := difference(int64(24<<20 + i*64<<10))
				p.add(ofsDelta, int64(len(d)), back(int64(p.Len())+12-at), bytes.NewReader(d))
			}
			return bomb(t, p.commitOf("a", objectID("blob", base)), p.bytes(p.count))
		}, "fetched"},
		"more than all": {func(t *testing.T) string {
			var p packWriter
			for range 2 {
				p.add(blobObject, bombBytes, nil, zeros(""))
			}
			return bomb(t, objectID("blob", nil), p.bytes(p.count))
		}, "TooLarge: the pack inflates to more than 402653184 bytes"},
		"number of objects": {func(t *testing.T) string {
			return bomb(t, objectID("blob", nil), (&packWriter{}).bytes(1<<32-1))
		}, "TooLarge: the pack holds more than 1000000 objects"},
		"endless refs":  {endless(http.MethodGet, "0045%040x refs/heads/%012x\n"), "TooLarge: the list of refs is longer than"},
		"endless lines": {endless(http.MethodPost, "%0512x%0512x"), "TooLarge: the pack is longer than"},
	}
	for name, c := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := c.url(t)
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFetchInChild$", "-test.v")
			child.Env = append(os.Environ(), bombURL+"="+url, "TMPDIR="+t.TempDir())
			output, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("the child: %v\n%s", err, output)
			}
			said := string(output)
			if !strings.Contains(said, c.want) {
				t.Errorf("want %q: %s", c.want, said)
			}
			_, after, _ := strings.Cut(said, "VmHWM:")
			var peak int64
			if _, err := fmt.Sscan(after, &peak); err != nil {
				t.Fatalf("no peak: %v: %s", err, said)
			}
			if peak <<= 10; peak > bombMemory {
				t.Errorf("the most memory was %d MiB; want at most %d", peak>>20, bombMemory>>20)
			}
			t.Logf("the most memory was %d MiB", peak>>20)
		})
	}
}

// endless answers requests of one method with lines that never end.
func endless(method, line string) func(*testing.T) string {
	return func(t *testing.T) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := fmt.Sprintf("%040x HEAD\x00 ofs-delta", 1)
			if r.Method == http.MethodGet {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				fmt.Fprintf(w, "001e# service=git-upload-pack\n0000%04x%s", 4+len(first), first)
			} else {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
				fmt.Fprint(w, "0008NAK\n")
			}
			if r.Method != method {
				fmt.Fprint(w, "0000")
				return
			}
			for i := 1; ; i++ {
				if _, err := fmt.Fprintf(w, line, i, i); err != nil {
					return
				}
			}
		}))
		t.Cleanup(server.Close)
		return server.URL + "/team.git"
	}
}

// TestFetchInChild is no test: it is the child process of TestG19BombsAreBoundedInMemory.
func TestFetchInChild(t *testing.T) {
	url := os.Getenv(bombURL)
	if url == "" {
		t.Skip("the child process of TestG19BombsAreBoundedInMemory")
	}
	repository, err := source.Open(source.Options{
		URL: url, AllowInsecure: true, Limits: source.Limits{UnpackedBytes: 384 << 20, PackBytes: 64 << 20},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer repository.Close()
	snapshot, err := repository.Fetch(t.Context())
	if refused, ok := errors.AsType[*source.Error](err); ok {
		fmt.Printf("%s: %s\n", refused.Reason, refused.Message)
	} else {
		fmt.Println("fetched")
		_, err := fs.ReadFile(snapshot.Tree, "big.yaml")
		file, openErr := snapshot.Tree.Open("big.yaml")
		if openErr == nil {
			read, readErr := io.Copy(io.Discard, file)
			fmt.Printf("%v; %d bytes, then %v\n", err, read, readErr)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	fmt.Println("VmHWM:", peak)
}
