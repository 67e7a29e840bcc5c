//go:build !linux

package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
)

var errNotLinux = errors.New("containers need Linux")

func isolate(*exec.Cmd) (io.Closer, error) { return nil, errNotLinux }

func checkNamespaces() error { return errNotLinux }

func checkCgroups() error { return errNotLinux }

func runRealNode(context.Context, string) error { return errNotLinux }
