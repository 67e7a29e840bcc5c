package source_test

import (
	"context"
	"fmt"
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
