package main

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kilter.dev/kilter/internal/golden"
)

// Each record is one line of columns, whatever is in it.
func TestConsole(t *testing.T) {
	var out bytes.Buffer
	console := newConsole(&out, slog.LevelInfo)
	at := time.Date(2026, 1, 2, 15, 4, 5, 999, time.UTC)
	revision := slog.String("revision", "main@sha1:0123456789abcdef0123456789abcdef01234567")
	for _, line := range []struct {
		level   slog.Level
		message string
		attrs   []slog.Attr
	}{
		{slog.LevelInfo, "created", []slog.Attr{slog.String("object", "CronJob shop/report"), slog.String("origin", "prod/report.yaml:1:1")}},
		{slog.LevelInfo, "updated", []slog.Attr{
			slog.String("why", "changed in Git"), slog.String("origin", "prod/report.yaml:1:1"), slog.String("object", "CronJob shop/report"),
		}},
		{slog.LevelInfo, "deleted", []slog.Attr{slog.String("object", "CronJob shop/report"), slog.String("why", "left Git")}},
		{slog.LevelError, "rejected", []slog.Attr{
			slog.String("object", "Job shop/migrate"), slog.String("origin", "prod/migrate.yaml:7:3"),
			slog.String("why", "spec.backoffLimit: must be greater than or equal to 0"),
		}},
		{slog.LevelInfo, "pass", []slog.Attr{
			revision, slog.String("reason", "Progressing"), slog.String("message", "34 objects: 30 current, 4 in progress"), slog.String("took", "312ms"),
		}},
		{slog.LevelInfo, "pass", []slog.Attr{
			revision, slog.String("reason", "ReconciliationSucceeded"), slog.String("message", "34 objects: 34 current"), slog.Duration("took", time.Second),
		}},
		{slog.LevelError, "pass", []slog.Attr{
			slog.String("revision", ""), slog.String("reason", "FetchFailed"), slog.String("message", "cannot fetch https://git: no such branch"),
			slog.String("took", "1ms"),
		}},
		{slog.LevelInfo, "pass", []slog.Attr{
			slog.String("revision", "v1@sha1:short"), slog.String("reason", "Suspended"), slog.String("message", "suspended"), slog.String("took", "0s"),
		}},
		{slog.LevelError, "cannot start", []slog.Attr{slog.String("why", "no cluster"), slog.Int("attempt", 2)}},
		{slog.LevelError, "rejected", []slog.Attr{
			slog.String("object", "Job shop/\x1b[2Jgone"), slog.String("origin", "a\nb.yaml:1"), slog.String("why", "first\r\nsecond \u202e\x9b"),
			slog.String("other", "\x07"),
		}},
	} {
		record := slog.NewRecord(at, line.level, line.message, 0)
		record.AddAttrs(line.attrs...)
		if err := console.Handle(t.Context(), record); err != nil {
			t.Fatal(err)
		}
	}
	golden.Check(t, filepath.Join("testdata", "console.txt"), out.String())
}

// Loggers that are derived from one another share the output and nothing else.
func TestConsoleWith(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newConsole(&out, slog.LevelInfo))
	a := log.With("sync", "team-a/batch")
	b, c := a.With("n", 1), a.With("n", 2)
	a.Debug("not shown")
	var all sync.WaitGroup
	for _, each := range []*slog.Logger{log, a, b, c, log.WithGroup("g")} {
		all.Go(func() {
			for range 50 {
				each.Info("created", "object", "Job a/b")
			}
		})
	}
	all.Wait()
	counts := map[string]int{}
	for line := range bytes.Lines(out.Bytes()) {
		counts[string(line[len("15:04:05 "):])]++
	}
	const created = "created    Job a/b"
	want := map[string]int{
		created + "\n": 100, created + "  sync=team-a/batch\n": 50, created + "  sync=team-a/batch  n=1\n": 50, created + "  sync=team-a/batch  n=2\n": 50,
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
