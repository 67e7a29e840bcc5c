package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/pkg/util/tail"
)

// stopTimeout is how long a component may take to end after SIGTERM before it is killed.
const stopTimeout = 3 * time.Second

// component is one process of the control plane: this program again, as "devcluster component NAME ARGS…".
//
// It works in the cluster's directory, so all paths in args are relative to that. It has its own process group, so that
// Ctrl-C reaches only the parent, which ends components in order. And it holds the read end of a pipe as its stdin: when
// the parent dies, however that happens, the pipe closes and the component exits.
type component struct {
	name     string
	args     []string
	isolated bool // in process, mount and network namespaces of its own, as their first process
}

// process is a component that was started.
type process struct {
	component
	cmd   *exec.Cmd
	log   string        // path of the log file, of this start only
	pid   string        // path of a file with the process ID, there for as long as the process is ours
	stdin io.Closer     // held open for as long as the component should live
	ended chan struct{} // closed once the process is gone
}

// start starts the component in the cluster's directory, with its output in log/NAME.log.
func (c component) start(dir string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	p := &process{
		component: c,
		log:       filepath.Join(dir, "log", c.name+".log"),
		pid:       filepath.Join(dir, "pid", c.name),
		ended:     make(chan struct{}),
	}
	output, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	defer output.Close()

	p.cmd = exec.Command(program, append([]string{"component", c.name, "--"}, c.args...)...)
	p.cmd.Dir = dir
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.isolated {
		kept, err := isolate(p.cmd)
		if err != nil {
			return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
		}
		defer kept.Close()
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
		close(p.ended)
	}()
	if err := os.WriteFile(p.pid, []byte(strconv.Itoa(p.cmd.Process.Pid)+"\n"), 0o600); err != nil {
		p.stop()
		return nil, fmt.Errorf("cannot start %s: %w", c.name, err)
	}
	return p, nil
}

// stop ends the process, gently at first, and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended already
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.stdin.Close()
	_ = os.Remove(p.pid)
}

// componentError is a component that ended although nobody asked it to.
type componentError struct {
	name   string
	reason string
	log    string // path of its log file
	tail   string // the last lines in it
}

func (e *componentError) Error() string {
	return fmt.Sprintf("%s died: %s; its log %s ends with:\n%s", e.name, e.reason, e.log, e.tail)
}

// failure describes a process that has ended.
func (p *process) failure() error {
	return &componentError{name: p.name, reason: p.cmd.ProcessState.String(), log: p.log, tail: lastLines(p.log, 10)}
}

// lastLines returns up to n last lines of a file, indented; it never fails, since it serves an error message.
func lastLines(path string, n int) string {
	data, _, err := tail.ReadAtMost(path, 16<<10)
	if err != nil {
		return "  (" + err.Error() + ")"
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-n):], "\n  ")
}

// newComponentCommand returns the hidden command that a component's process runs.
func newComponentCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "component NAME -- ARGS",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == realNode {
				return runRealNode(cmd.Context(), args[1])
			}
			go exitWithParent()
			return runComponent(cmd.Context(), args[0], args[1:])
		},
	}
}

// exitWithParent ends this process when its stdin reaches its end: the parent is gone. Nothing is tidied up, as after a
// crash, because whatever this component would talk to is ending too.
func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// runComponent runs the named component until SIGTERM.
func runComponent(ctx context.Context, name string, args []string) error {
	var run *cobra.Command
	switch name {
	case "etcd", "kwok":
		ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
		defer stop()
		if name == "etcd" {
			return runEtcd(ctx)
		}
		return runKWOK(ctx)
	// Kubernetes' own commands handle signals themselves.
	case "kube-apiserver":
		run = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		run = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		run = scheduler.NewSchedulerCommand()
	case "kubelet":
		run = kubelet.NewKubeletCommand(ctx)
	default:
		return fmt.Errorf("cannot run component %q: there is no such component", name)
	}
	run.SetArgs(args)
	return cli.RunNoErrOutput(run)
}
