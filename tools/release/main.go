// Command release makes what users of Kilter install: the program for each platform, a bill of materials beside each, the container image
// of those for Linux, and SHA256SUMS of all of it. Two runs on one commit, wherever, make the same bytes.
//
// It needs the Go module proxy and nothing else: no registry, no base image, no daemon. Run it with `make release` or `make image`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is one version of Kilter on its way into a directory.
type release struct {
	source    string // root of the repository
	dir       string // where everything goes
	version   string
	created   time.Time           // when the commit was made: the only time that files and images say
	platforms []platform          // in this order
	prebuilt  map[platform]string // programs that need not be built, by their path
}

// platform is a target of the Go compiler.
type platform struct{ os, arch string }

// platforms are those that a release is made for.
var platforms = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

func parsePlatform(text string) (platform, error) {
	system, arch, ok := strings.Cut(text, "/")
	if !ok || system == "" || arch == "" {
		return platform{}, fmt.Errorf("%q is no platform: write it as linux/amd64", text)
	}
	return platform{system, arch}, nil
}

func run(ctx context.Context, args []string) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	return r.make(ctx)
}

// parse reads the command line.
func parse(args []string) (release, error) {
	r := release{prebuilt: map[platform]string{}}
	var created, targets string
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.source, "source", ".", "root of the repository")
	flags.StringVar(&r.dir, "out", "", "directory for what is made; what it held is removed")
	flags.StringVar(&r.version, "version", "", "version, such as 0.1.0")
	flags.StringVar(&created, "created", "", "time of the commit, as in RFC 3339")
	flags.StringVar(&targets, "platforms", strings.Join(platforms, ","), "what to build for")
	flags.Func("prebuilt", "`OS/ARCH=FILE`: take this program instead of building one; may be repeated", func(text string) error {
		target, file, _ := strings.Cut(text, "=")
		p, err := parsePlatform(target)
		r.prebuilt[p] = file
		return err
	})
	if err := flags.Parse(args); err != nil {
		return r, err
	}
	if flags.NArg() > 0 || r.dir == "" || r.version == "" {
		return r, errors.New("-out and -version are needed, and no arguments")
	}
	var err error
	if r.created, err = time.Parse(time.RFC3339, created); err != nil {
		return r, fmt.Errorf("-created: %w", err)
	}
	for target := range strings.SplitSeq(targets, ",") {
		p, err := parsePlatform(target)
		if err != nil {
			return r, err
		}
		r.platforms = append(r.platforms, p)
	}
	return r, nil
}

// make makes everything, in a directory that it empties first: nothing of an earlier version stays there under this one's sums.
func (r release) make(ctx context.Context) error {
	if err := errors.Join(os.RemoveAll(r.dir), os.MkdirAll(r.dir, 0o755)); err != nil {
		return err
	}
	programs := map[platform]string{}
	for _, p := range r.platforms {
		fmt.Fprintf(os.Stderr, "%s: the program and its bill of materials\n", p)
		program, err := r.program(ctx, p)
		if err != nil {
			return err
		}
		if err := r.billOfMaterials(program); err != nil {
			return err
		}
		programs[p] = program
	}
	if err := r.image(programs); err != nil {
		return fmt.Errorf("cannot make the image: %w", err)
	}
	return writeSums(r.dir)
}

// path is where the release keeps a file: kilter-VERSION and what it is.
func (r release) path(what string) string {
	return filepath.Join(r.dir, "kilter-"+r.version+what)
}

func (p platform) String() string { return p.os + "/" + p.arch }
