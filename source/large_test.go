package source_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// BenchmarkLarge measures a repository of 100,000 files, of which the path holds 100, and 1 GB of history outside of it: a first clone, and a
// push that changes one file of the path, each beside C git, which brings the same part of it. What the server sends is bounded by the path.
func BenchmarkLarge(b *testing.B) {
	server, err := gitserver.Start(gitserver.Options{Dir: b.TempDir(), Parts: true})
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	must(err)
	defer server.Close()
	repo, err := server.Create(b.Context(), "team", b.TempDir())
	must(err)
	bare := func(input string, args ...string) string {
		b.Helper()
		said, err := repo.GitInput(b.Context(), input, append([]string{"-c", "core.compression=0", "--git-dir", repo.Bare}, args...)...)
		must(err)
		return said
	}
	bare(manyFiles(), "fast-import", "--quiet")
	for batch := range 10 { // 100 MB each
		bare(largeFiles(batch), "fast-import", "--quiet")
	}
	n := 0
	push := func() {
		n++
		content := fmt.Sprint("changed ", n)
		bare(fmt.Sprintf("commit refs/heads/main\ncommitter a <a@example.com> 1800000000 +0000\ndata 1\nc\nfrom refs/heads/main^0\n"+
			"M 100644 inline dir-000/000.yaml\ndata %d\n%s\n", len(content), content), "fast-import", "--quiet")
	}
	open := func() *source.Repository {
		repository, err := source.Open(source.Options{URL: server.URL("team"), Path: "dir-000", AllowInsecure: true, Dir: b.TempDir()})
		must(err)
		return repository
	}
	fetch := func(repository *source.Repository) {
		_, err := repository.Fetch(b.Context())
		must(err)
	}
	git := func(args ...string) {
		b.Helper()
		_, err := repo.Git(b.Context(), args...)
		must(err)
	}
	// clone is what people do who want one directory of a large repository.
	clone := func() (dir string) {
		dir = b.TempDir()
		git("clone", "--quiet", "--depth=1", "--filter=tree:0", "--sparse", "--no-checkout", server.URL("team"), dir)
		git("-C", dir, "sparse-checkout", "set", "dir-000")
		git("-C", dir, "checkout", "--quiet", "main")
		return dir
	}
	// sends reports what the server has sent each time, and what it may at most.
	sends := func(b *testing.B, limit float64) {
		b.Helper()
		sent := 0.0
		for _, request := range server.Fetches() {
			sent += float64(request.Bytes) / 1024 / float64(b.N)
		}
		b.ReportMetric(sent, "KiB-sent")
		if limit > 0 {
			b.ReportMetric(limit, "KiB-sent-limit")
			if sent > limit {
				b.Errorf("%.0f KiB were sent each time; the limit is %.0f", sent, limit)
			}
		}
	}
	b.Run("clone", func(b *testing.B) {
		server.Forget()
		for b.Loop() {
			repository := open()
			fetch(repository)
			must(repository.Close())
		}
		sends(b, 64)
	})
	b.Run("clone by git", func(b *testing.B) {
		server.Forget()
		for b.Loop() {
			clone()
		}
		sends(b, 0)
	})
	repository := open()
	defer func() { must(repository.Close()) }()
	fetch(repository)
	changed := func(limit float64, fetch func()) func(*testing.B) {
		return func(b *testing.B) {
			server.Forget()
			for b.Loop() {
				b.StopTimer()
				push()
				b.StartTimer()
				fetch()
			}
			sends(b, limit)
		}
	}
	b.Run("one file changed", changed(64, func() { fetch(repository) }))
	dir := clone()
	b.Run("one file changed by git", changed(0, func() { git("-C", dir, "pull", "--quiet", "--ff-only") }))
}

// manyFiles is what git fast-import reads: 1,000 directories of 100 files.
func manyFiles() string {
	var text strings.Builder
	text.WriteString("commit refs/heads/main\ncommitter a <a@example.com> 1700000000 +0000\ndata 1\nc\n")
	for i := range 100_000 {
		content := fmt.Sprintf("kind: ConfigMap\nmetadata: {name: c%d}\n", i)
		fmt.Fprintf(&text, "M 100644 inline dir-%03d/%03d.yaml\ndata %d\n%s\n", i/100, i%100, len(content), content)
	}
	return text.String()
}

// largeFiles is the same of 20 commits that each write 5 MB which cannot be made smaller.
func largeFiles(batch int) string {
	random := rand.NewChaCha8([32]byte{byte(batch)})
	noise := make([]byte, 5_000_000)
	var text strings.Builder
	for n := range 20 {
		_, _ = random.Read(noise)
		fmt.Fprintf(&text, "commit refs/heads/main\ncommitter a <a@example.com> 1750000000 +0000\ndata 1\nc\n")
		if n == 0 {
			text.WriteString("from refs/heads/main^0\n")
		}
		fmt.Fprintf(&text, "M 100644 inline dir-%03d/large\ndata %d\n%s\n", 1+n, len(noise), noise)
	}
	return text.String()
}
