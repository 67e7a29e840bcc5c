package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// removeCgroups removes the control groups of all containers that runc knows in the cluster's directory: the one thing of a real node that
// the kernel does not take away with its processes. They must have ended.
func removeCgroups(dir string) error {
	states, err := filepath.Glob(filepath.Join(dir, machineDir, "run/containerd/runc/k8s.io/*/state.json"))
	if err != nil {
		return err
	}
	for _, file := range states {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var state struct {
			Paths map[string]string `json:"cgroup_paths"` // by controller
		}
		if err := json.Unmarshal(data, &state); err != nil {
			return fmt.Errorf("cannot read %s: %w", file, err)
		}
		for _, path := range state.Paths {
			if err := removeCgroup(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroup waits for a moment, since the kernel gives a group up only some time after its last process has ended.
func removeCgroup(path string) error {
	for deadline := time.Now().Add(time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Rmdir(path)
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline):
			return fmt.Errorf("cannot remove the control group %s: %w", path, err)
		}
	}
}
