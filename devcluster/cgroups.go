package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// removeCgroups removes the control groups of all containers that containerd has below the cluster's directory: the one thing of a real
// node that the kernel does not take away with its processes. They must have ended.
func removeCgroups(dir string) error {
	containers, err := filepath.Glob(filepath.Join(dir, machineDir, "run/containerd/io.containerd.runtime.v2.task/k8s.io/*"))
	if err != nil {
		return err
	}
	for _, container := range containers {
		// Version 2 has one hierarchy, version 1 one for each controller.
		for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
			groups, err := filepath.Glob(filepath.Join(hierarchy, "k8s.io", filepath.Base(container)))
			if err != nil {
				return err
			}
			for _, group := range groups {
				if err := removeCgroup(group); err != nil {
					return err
				}
				_ = syscall.Rmdir(filepath.Dir(group)) // containerd's, once there is nobody's container in it
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
