// Package process runs this repository's own programs as real processes, for the demo and for tests: bin/kilter and bin/devcluster. It
// keeps what they print, so that one can wait for a line instead of for time to pass.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that was started. Its standard output is read line by line.
type Process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended; err is set before
	err   error

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed, and replaced, when a line is added
	next  int           // the first line that Line has not seen
}

// Options say how to run a program.
type Options struct {
	Path   string
	Args   []string
	Env    []string     // added to this process's own
	Stderr io.Writer    // nil: kept with the standard output's lines
	Echo   func(string) // called with each line of standard output, in order; may be nil
}

// Start starts a program in a process group of its own, so that an interrupt on the terminal does not reach it.
func Start(o Options) (*Process, error) {
	p := &Process{name: o.Path, cmd: exec.Command(o.Path, o.Args...), ended: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), o.Env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	reader, writer := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = writer, o.Stderr
	if o.Stderr == nil {
		p.cmd.Stderr = writer
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", o.Path, err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			p.add(lines.Text())
			if o.Echo != nil {
				o.Echo(lines.Text())
			}
		}
		_, _ = io.Copy(io.Discard, reader) // a line too long for the scanner must not block the program
	}()
	go func() {
		err := p.cmd.Wait()
		writer.Close()
		<-read
		p.err = err
		close(p.ended)
	}()
	return p, nil
}

func (p *Process) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	close(p.more)
	p.more = make(chan struct{})
}

// Line returns the next line, after those that earlier calls have passed, that contains all of the texts. It fails when the program
// ends, or ctx does, before there is one.
func (p *Process) Line(ctx context.Context, texts ...string) (string, error) {
	for {
		p.mu.Lock()
		for p.next < len(p.lines) {
			line := p.lines[p.next]
			p.next++
			if containsAll(line, texts) {
				p.mu.Unlock()
				return line, nil
			}
		}
		more := p.more
		p.mu.Unlock()
		select {
		case <-more:
			continue
		default:
		}
		select {
		case <-more:
		case <-p.ended:
			p.mu.Lock()
			left := p.next < len(p.lines)
			p.mu.Unlock()
			if !left {
				return "", fmt.Errorf("%s ended before it printed %q:\n%s", p.name, texts, p.Output())
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s did not print %q in time: %w:\n%s", p.name, texts, ctx.Err(), p.Output())
		}
	}
}

func containsAll(line string, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(line, text) {
			return false
		}
	}
	return true
}

// PID returns the number of the process, which is also that of its group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns everything that was printed so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// Wait returns the exit code once the program has ended; -1 when a signal ended it.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
	case <-ctx.Done():
		return 0, fmt.Errorf("%s did not end in time: %w", p.name, ctx.Err())
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode(), nil
	}
	return 0, p.err
}

// Kill ends the program at once, as SIGKILL does, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Stop asks the program to end, and kills it when it takes longer than patience.
func (p *Process) Stop(patience time.Duration) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM and was killed", p.name, patience)
	}
}
