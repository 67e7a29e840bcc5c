package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// children are the processes that the first process of the real node started. As the first, it also inherits every orphan, which is why
// it waits for whoever ends instead of for each.
type children struct {
	mu      sync.Mutex
	running map[int]*child // by process ID
}

// child is one that was started by name.
type child struct {
	name   string
	log    string          // path of its log, of this start only
	ended  chan struct{}   // closed once the process is gone; status is set before
	status unix.WaitStatus // zero after success
}

func newChildren() *children {
	c := &children{running: map[int]*child{}}
	deaths := make(chan os.Signal, 1)
	signal.Notify(deaths, unix.SIGCHLD)
	go func() {
		for range deaths {
			c.bury()
		}
	}()
	return c
}

// bury takes note of all that have ended.
func (c *children) bury() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err != nil || pid <= 0 {
			return
		}
		c.mu.Lock()
		if ended := c.running[pid]; ended != nil {
			delete(c.running, pid)
			ended.status = status
			close(ended.ended)
		}
		c.mu.Unlock()
	}
}

// start starts a program with its output in log/NAME.log. Its stdin is ours, so that it too sees the end of the dev cluster.
func (c *children) start(name, program string, args ...string) (*child, error) {
	started := &child{name: name, log: filepath.Join("log", name+".log"), ended: make(chan struct{})}
	output, err := os.Create(started.log)
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	defer output.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, output, output

	c.mu.Lock() // nobody is buried before it is known
	defer c.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	c.running[cmd.Process.Pid] = started
	return started, nil
}

// failure describes a child that has ended.
func (c *child) failure() error {
	reason := fmt.Sprintf("exit status %d", c.status.ExitStatus())
	if c.status.Signaled() {
		reason = "signal: " + c.status.Signal().String()
	}
	return &componentError{name: c.name, reason: reason, log: c.log, tail: lastLines(c.log, 5)}
}
