package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/pflag"

	"kilter.dev/kilter/internal/phrase"
)

// logOptions are the flags of kilter run that say what is logged, and how.
type logOptions struct{ format, level string }

func (o *logOptions) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.format, "log-format", "", "text or json (default: text with -f, json without)")
	flags.StringVar(&o.level, "log-level", "info", "the least that is logged: debug, which has every pass, info, warn or error")
}

// levels are the values of --log-level.
var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// logger returns what writes to out. Without --log-format people read what it writes, or machines.
func (o *logOptions) logger(out io.Writer, people bool) (*slog.Logger, error) {
	level, ok := levels[o.level]
	if !ok {
		return nil, fmt.Errorf("--log-level %q: must be debug, info, warn or error", o.level)
	}
	switch {
	case o.format == "text", o.format == "" && people:
		return slog.New(newConsole(out, level)), nil
	case o.format == "json", o.format == "":
		return slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: printable})), nil
	}
	return nil, fmt.Errorf("--log-format %q: must be text or json", o.format)
}

// printable makes a text harmless: JSON escapes some of what disturbs a terminal, and by far not all. Numbers and times are so already.
func printable(_ []string, a slog.Attr) slog.Attr {
	if kind := a.Value.Kind(); kind == slog.KindString || kind == slog.KindAny && a.Key != slog.LevelKey {
		a.Value = slog.StringValue(phrase.Printable(a.Value.String()))
	}
	return a
}
