package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/reconcile/view"
)

// console is the slog.Handler for people: a line per changed object and a line per pass, in columns.
//
//	15:04:05 created   CronJob shop/report     cronjobs/report.yaml:1:1
//	15:04:05 main@sha1:3f2a1b9c0d1e  Progressing: 34 objects: 30 current, 4 in progress  (312ms)
type console struct {
	mu    *sync.Mutex
	out   io.Writer
	level slog.Level // the lowest that is printed
	attrs []slog.Attr
}

func newConsole(out io.Writer, level slog.Level) *console {
	return &console{mu: &sync.Mutex{}, out: out, level: level}
}

// Enabled is true from the console's level.
func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= c.level }

// WithAttrs returns a handler that adds attrs to each record.
func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *c
	with.attrs = append(c.attrs[:len(c.attrs):len(c.attrs)], attrs...)
	return &with
}

// WithGroup returns the handler itself: the loop's records have no groups.
func (c *console) WithGroup(string) slog.Handler { return c }

// Handle prints one record as one line.
func (c *console) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]string{}
	var others []string
	collect := func(a slog.Attr) bool {
		switch a.Key {
		case "object", "origin", "why", "revision", "reason", "message", "took":
			fields[a.Key] = a.Value.String()
		default:
			others = append(others, a.Key+"="+a.Value.String())
		}
		return true
	}
	for _, a := range c.attrs {
		collect(a)
	}
	r.Attrs(collect)

	var line bytes.Buffer
	line.WriteString(r.Time.Format("15:04:05 "))
	if r.Message == "pass" {
		fmt.Fprintf(&line, "%s  %s  (%s)", orDash(view.ShortRevision(fields["revision"])), state(fields), fields["took"])
	} else {
		fmt.Fprintf(&line, "%-9s", r.Message)
		for _, text := range []string{fields["object"], fields["origin"], fields["why"]} {
			if text != "" {
				line.WriteString("  " + text)
			}
		}
	}
	for _, other := range others {
		line.WriteString("  " + other)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := fmt.Fprintln(c.out, phrase.Printable(line.String()))
	return err
}

// state renders reason and message; success needs no word.
func state(fields map[string]string) string {
	if fields["reason"] == "ReconciliationSucceeded" {
		return fields["message"]
	}
	return fields["reason"] + ": " + fields["message"]
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
