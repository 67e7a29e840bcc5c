//go:build !linux

package main

import (
	"context"
	"errors"
	"syscall"
)

var errNotLinux = errors.New("containers need Linux")

func isolate(*syscall.SysProcAttr) {}

func checkNamespaces() error { return errNotLinux }

func checkCgroups() error { return errNotLinux }

func runRealNode(context.Context, string) error { return errNotLinux }
