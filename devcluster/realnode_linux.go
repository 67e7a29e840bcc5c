package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// containerdSocket is where containerd serves, as the real node sees it.
const containerdSocket = "/run/containerd/containerd.sock"

// isolate has a process start as the first one of new process, mount and network namespaces. It keeps a way out: hostNamespace. The
// caller closes what is returned once the process has started.
func isolate(cmd *exec.Cmd) (io.Closer, error) {
	network, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET
	cmd.ExtraFiles = []*os.File{network}
	return network, nil
}

// checkNamespaces returns why this process may not make namespaces, and the way out; nil if it may.
func checkNamespaces() error {
	if os.Geteuid() != 0 {
		return errors.New("it mounts file systems and makes namespaces, which only root may: run it as root")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	try := exec.Command(program, "version")
	try.SysProcAttr = new(syscall.SysProcAttr)
	network, err := isolate(try)
	if err != nil {
		return err
	}
	defer network.Close()
	if err := try.Run(); err != nil {
		return fmt.Errorf("this process may not make namespaces (%w): in a container, run that one privileged", err)
	}
	return nil
}

// checkCgroups returns why containers cannot be given control groups, and the way out; nil if they can. Version 2 divides a group only if
// no process is in it, except the machine's first, which alone has no type.
func checkCgroups() error {
	const group = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(group, "cgroup.type")); errors.Is(err, fs.ErrNotExist) {
		return nil // version 1, or the machine's own
	}
	divided, err := os.ReadFile(filepath.Join(group, "cgroup.subtree_control"))
	if err == nil && !slices.Contains(strings.Fields(string(divided)), "memory") {
		err = errors.New("a container's own control group, with processes in it, cannot be divided: give it the machine's (--cgroupns=host)")
	}
	return err
}

// runRealNode is the first process of the machine, in the cluster's directory, until SIGTERM or until the parent is gone. It returns an
// error when containerd or the kubelet ends before. Afterwards nothing of the machine is left.
func runRealNode(ctx context.Context, port string) (err error) {
	if os.Getpid() != 1 { // it ends all processes that it can see
		return errors.New("cannot run a real node outside namespaces of its own: only `devcluster up` starts it")
	}
	lock, err := fileutil.TryLockFile(machineLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot lock the real node: %w", err)
	}
	defer lock.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	ctx, lost := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the parent's
		lost()
	}()
	defer func() {
		killAll()
		err = errors.Join(err, removeCgroups("."))
	}()
	if err := furnish(); err != nil {
		return err
	}
	network, err := servePods(port)
	if network != nil {
		defer network.close()
	}
	if err != nil {
		return err
	}
	go network.serveHostServices(ctx)

	children := newChildren()
	containerd, err := children.start("containerd", "containerd", "--config", "/var/lib/containerd/config.toml")
	if err != nil {
		return err
	}
	if err := importImages(ctx, children, containerd); err != nil {
		return err
	}
	kubelet, err := children.start("kubelet", "/proc/self/exe", kubeletArgs(port)...)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-containerd.ended:
		return containerd.failure()
	case <-kubelet.ended:
		return kubelet.failure()
	}
}

func kubeletArgs(port string) []string {
	return []string{
		"component", "kubelet", "--",
		"--config=/var/lib/kubelet/config.yaml",
		"--kubeconfig=/var/lib/kubelet/kubeconfig",
		"--hostname-override=" + realNode,
		"--cloud-provider=external", // it leaves the node's address to others
		"--address=" + realNodeAddress,
		"--port=" + port,
	}
}

// importImages returns when containerd has our images.
func importImages(ctx context.Context, children *children, containerd *child) error {
	err := wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		select {
		case <-containerd.ended:
			return false, containerd.failure()
		default:
		}
		connection, err := new(net.Dialer).DialContext(ctx, "unix", containerdSocket)
		if err != nil {
			return false, nil
		}
		return true, connection.Close()
	})
	if err != nil {
		return err
	}
	ctr, err := children.start("ctr", "ctr", "--namespace", "k8s.io", "images", "import", "--snapshotter", "native", "/var/lib/images.tar")
	if err != nil {
		return err
	}
	select {
	case <-ctr.ended:
		if ctr.status != 0 {
			return ctr.failure()
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mount is one call of mount(2).
type mount struct {
	source, target, kind string
	flags                uintptr
}

// furnish gives the machine its own processes in /proc and its own directories. The working directory stays what it is, even if it lies
// below one of them.
func furnish() error {
	mounts := []mount{
		{target: "/", flags: unix.MS_REC | unix.MS_PRIVATE}, // nothing that follows is seen outside
		{source: "proc", target: "/proc", kind: "proc", flags: unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
	}
	for name := range kernelSettings {
		mounts = append(mounts, mount{
			source: filepath.Join(machineDir, "lib/sysctl", name), target: filepath.Join("/proc/sys", name), flags: unix.MS_BIND,
		})
	}
	for _, d := range machineDirs {
		mounts = append(mounts, mount{source: filepath.Join(machineDir, d.own), target: d.seen, flags: unix.MS_BIND})
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.target, err)
		}
	}
	return nil
}

// killAll ends every process of the machine but this one, and returns when they are gone.
func killAll() {
	_ = unix.Kill(-1, unix.SIGKILL) // fails when there is none
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
