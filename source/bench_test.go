package source_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// BenchmarkFetch measures a repository of 1,000 files over loopback: the first clone, an unmoved ref, and a push that
// changes one file (without the time that git takes to commit and push it).
func BenchmarkFetch(b *testing.B) {
	server, err := gitserver.Start(gitserver.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	repo, err := server.Create(b.Context(), "team", b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	change := func(name, content string) {
		if err := repo.Write(name, content); err != nil {
			b.Fatal(err)
		}
	}
	push := func(ctx context.Context) {
		if _, err := repo.Commit(ctx, "change"); err != nil {
			b.Fatal(err)
		}
		if err := repo.Push(ctx); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 1000 {
		change(fmt.Sprintf("app-%02d/%03d.yaml", i/50, i), fmt.Sprintf("kind: ConfigMap\nmetadata: {name: c%d}\n", i))
	}
	push(b.Context())
	open := func() *source.Repository {
		repository, err := source.Open(source.Options{URL: server.URL("team"), AllowInsecure: true, Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		return repository
	}
	fetch := func(repository *source.Repository) {
		if _, err := repository.Fetch(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("first clone", func(b *testing.B) {
		for b.Loop() {
			repository := open()
			fetch(repository)
			repository.Close()
		}
	})
	repository := open()
	defer repository.Close()
	fetch(repository)
	b.Run("unmoved", func(b *testing.B) {
		for b.Loop() {
			fetch(repository)
		}
	})
	b.Run("one file changed", func(b *testing.B) {
		n := 0
		for b.Loop() {
			b.StopTimer()
			n++
			change("app-00/000.yaml", fmt.Sprint(b.N, n))
			push(b.Context())
			b.StartTimer()
			fetch(repository)
		}
	})
}

// BenchmarkLarge measures a repository of 100,000 files, of which the path holds 100, and 200 commits of history: a first clone, and a push
// that changes one file of the path, each beside C git, which fetches the same into a bare repository.
func BenchmarkLarge(b *testing.B) {
	server, err := gitserver.Start(gitserver.Options{Dir: b.TempDir()})
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
	_, err = repo.GitInput(b.Context(), largeHistory(), "fast-import", "--quiet")
	must(err)
	_, err = repo.Git(b.Context(), "reset", "--quiet", "--mixed", "main")
	must(err)
	must(repo.Push(b.Context(), "main"))
	n := 0
	push := func() {
		n++
		blob, err := repo.GitInput(b.Context(), fmt.Sprint("changed ", n), "hash-object", "-w", "--stdin")
		must(err)
		_, err = repo.Git(b.Context(), "update-index", "--cacheinfo", "100644,"+blob+",dir-000/000.yaml")
		must(err)
		_, err = repo.Git(b.Context(), "commit", "--quiet", "--message", "change")
		must(err)
		must(repo.Push(b.Context(), "main"))
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
	b.Run("clone", func(b *testing.B) {
		for b.Loop() {
			repository := open()
			fetch(repository)
			must(repository.Close())
		}
	})
	b.Run("clone by git", func(b *testing.B) {
		for b.Loop() {
			_, err := repo.Git(b.Context(), "clone", "--quiet", "--bare", "--depth=1", server.URL("team"), b.TempDir())
			must(err)
		}
	})
	repository := open()
	defer func() { must(repository.Close()) }()
	fetch(repository)
	b.Run("one file changed", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			push()
			b.StartTimer()
			fetch(repository)
		}
	})
	bare := b.TempDir()
	_, err = repo.Git(b.Context(), "clone", "--quiet", "--bare", "--depth=1", server.URL("team"), bare)
	must(err)
	b.Run("one file changed by git", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			push()
			b.StartTimer()
			_, err := repo.Git(b.Context(), "-C", bare, "fetch", "--quiet", "origin", "main")
			must(err)
		}
	})
}

// largeHistory is what git fast-import reads: 1,000 directories of 100 files, then commits that each change a file of another directory.
func largeHistory() string {
	var text strings.Builder
	commit := func(n int) {
		fmt.Fprintf(&text, "commit refs/heads/main\nmark :%d\ncommitter a <a@example.com> %d +0000\ndata 1\nc\n", n+1, 1_700_000_000+n)
		if n > 0 {
			fmt.Fprintf(&text, "from :%d\n", n)
		}
	}
	file := func(dir, name int, content string) {
		fmt.Fprintf(&text, "M 100644 inline dir-%03d/%03d.yaml\ndata %d\n%s\n", dir, name, len(content), content)
	}
	commit(0)
	for i := range 100_000 {
		file(i/100, i%100, fmt.Sprintf("kind: ConfigMap\nmetadata: {name: c%d}\n", i))
	}
	for n := 1; n <= 200; n++ {
		commit(n)
		file(n, n%100, strings.Repeat(fmt.Sprintf("commit %d\n", n), 100))
	}
	return text.String()
}
