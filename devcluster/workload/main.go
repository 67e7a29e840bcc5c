// Program workload is all that runs in the containers of a dev cluster's real node: it does what its arguments say, one after the
// other, and ends. Tests need no other image.
//
//	print=TEXT         a line on stdout; stderr=TEXT one on stderr; lines=N the lines "line 1" to "line N"
//	env=NAME           the line NAME=value, or "NAME is not set"
//	sleep=5s           wait
//	message=TEXT       the termination message
//	memory=64Mi        take and hold this much memory (Ki, Mi, Gi)
//	api=/readyz        get a path from the API server as the pod's ServiceAccount; the line "api /readyz: 200 OK"
//	fail-index=2:3     end with code 3 if JOB_COMPLETION_INDEX is 2
//	on-term=0          from here on, the exit code after SIGTERM (143 unless told), or "ignore"
//	exit=3             end with this code
//	wait               until SIGTERM
//
// Without any it waits, and so does the sandbox of every pod. After the last one it ends with code 0. A mistake in its arguments ends
// it with code 64 and a line that says so.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	terminated = 128 + int(syscall.SIGTERM) // as a shell would say it
	misused    = 64                         // EX_USAGE
	ignore     = -1                         // no exit code: SIGTERM is ignored
)

func main() {
	signal.Ignore(syscall.SIGCHLD) // as a sandbox, it is the parent of what its pod left: the kernel buries that
	p := &program{}
	p.onTerm.Store(int64(terminated))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		for range term {
			if code := p.onTerm.Load(); code != ignore {
				os.Exit(int(code))
			}
		}
	}()
	steps := os.Args[1:]
	if len(steps) == 0 {
		p.onTerm.Store(0)
		steps = []string{"wait"}
	}
	for _, step := range steps {
		if err := p.do(step); err != nil {
			fmt.Fprintf(os.Stderr, "workload: %s: %v\n", step, err)
			os.Exit(misused)
		}
	}
}

// program is what later steps need of earlier ones.
type program struct {
	onTerm atomic.Int64 // the exit code after SIGTERM
	memory [][]byte
}

// do does one step. It returns an error when the step cannot be understood or done.
func (p *program) do(step string) error {
	verb, value, _ := strings.Cut(step, "=")
	switch verb {
	case "print":
		fmt.Println(value)
	case "stderr":
		fmt.Fprintln(os.Stderr, value)
	case "lines":
		return lines(value)
	case "env":
		if set, ok := os.LookupEnv(value); ok {
			fmt.Printf("%s=%s\n", value, set)
		} else {
			fmt.Println(value, "is not set")
		}
	case "sleep":
		d, err := time.ParseDuration(value)
		time.Sleep(d)
		return err
	case "message":
		return os.WriteFile("/dev/termination-log", []byte(value), 0o600)
	case "memory":
		return p.hold(value)
	case "api":
		return get(value)
	case "fail-index":
		return failIndex(value)
	case "on-term":
		return p.setOnTerm(value)
	case "exit":
		return exit(value)
	case "wait":
		select {}
	default:
		return errors.New("there is no such step")
	}
	return nil
}

func lines(count string) error {
	n, err := strconv.Atoi(count)
	for i := range n {
		fmt.Println("line", i+1)
	}
	return err
}

// hold takes memory and writes to every page of it, since the kernel counts no other.
func (p *program) hold(quantity string) error {
	for suffix, shift := range map[string]int{"Ki": 10, "Mi": 20, "Gi": 30} {
		if number, ok := strings.CutSuffix(quantity, suffix); ok {
			n, err := strconv.Atoi(number)
			block := make([]byte, n<<shift)
			for i := 0; i < len(block); i += os.Getpagesize() {
				block[i] = 1
			}
			p.memory = append(p.memory, block)
			return err
		}
	}
	return errors.New("write it as 64Mi")
}

func failIndex(value string) error {
	index, code, ok := strings.Cut(value, ":")
	if !ok {
		return errors.New("write it as INDEX:CODE")
	}
	if os.Getenv("JOB_COMPLETION_INDEX") != index {
		return nil
	}
	return exit(code)
}

func (p *program) setOnTerm(value string) error {
	if value == "ignore" {
		p.onTerm.Store(ignore)
		return nil
	}
	code, err := strconv.ParseUint(value, 10, 8)
	p.onTerm.Store(int64(code))
	return err
}

func exit(value string) error {
	code, err := strconv.ParseUint(value, 10, 8)
	if err != nil {
		return err
	}
	os.Exit(int(code))
	return nil
}
