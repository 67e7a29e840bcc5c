package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/CycloneDX/cyclonedx-gomod/pkg/generate/bin"
	"github.com/rs/zerolog"
)

// program builds Kilter for one platform and returns the path. It is static, says no path of this machine, and is not stamped by the
// go command, which would tell an edited tree from a clean one by more than its version.
func (r release) program(ctx context.Context, p platform) (string, error) {
	path := r.path("-" + p.os + "-" + p.arch)
	if p.os == "windows" {
		path += ".exe"
	}
	if prebuilt, ok := r.prebuilt[p]; ok {
		content, err := os.ReadFile(prebuilt)
		if err != nil {
			return "", err
		}
		return path, os.WriteFile(path, content, 0o755)
	}
	output, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-C", r.source, "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+r.version, "-o", output, "./cmd/kilter")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+p.os, "GOARCH="+p.arch)
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build kilter for %s: %w\n%s", p, err, output)
	}
	return path, nil
}

// billOfMaterials writes which modules a program is made of, in CycloneDX's JSON, beside the program: what the linker recorded in it.
func (r release) billOfMaterials(program string) (err error) {
	generator, err := bin.NewGenerator(program, bin.WithIncludeStdlib(true), bin.WithVersionOverride(r.version),
		bin.WithLogger(zerolog.Nop()))
	if err != nil {
		return err
	}
	bill, err := generator.Generate()
	if err != nil {
		return fmt.Errorf("cannot read what %s is made of: %w", program, err)
	}
	output, err := os.Create(strings.TrimSuffix(program, ".exe") + ".cdx.json")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, output.Close()) }()
	return cyclonedx.NewBOMEncoder(output, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bill)
}
