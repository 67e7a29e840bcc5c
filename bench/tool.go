package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"text/template"
	"time"
)

// tool is another program to measure beside Kilter.
type tool struct {
	name    string
	command *template.Template // makes the cluster as Git says, and ends or keeps running
	trigger *template.Template // tells one that keeps running of a push; nil when it finds out by itself
}

// task is what a tool's commands may name.
type task struct {
	Repo       string // the repository's URL
	Branch     string // its branch
	Path       string // where its manifests are
	Kubeconfig string // of the tool's own ServiceAccount
	Namespace  string // for manifests, which name none
	Root       string // of Kilter's repository
}

// toolName keeps names fit for accounts and files.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,20}$`)

// parseTool reads 'name=command'.
func parseTool(text string) (tool, error) {
	name, command, ok := strings.Cut(text, "=")
	if !ok || !toolName.MatchString(name) || name == subjectKilter || name == subjectRaw {
		return tool{}, fmt.Errorf("%q: must be name=command, and the name lower-case letters, digits and dashes", text)
	}
	parsed, err := template.New(name).Option("missingkey=error").Parse(command)
	if err != nil {
		return tool{}, fmt.Errorf("cannot read the command of %s: %w", name, err)
	}
	return tool{name: name, command: parsed}, nil
}

// toolRun is a tool at work. It runs its commands by sh in a directory of its own.
type toolRun struct {
	tool
	task
	dir string

	command *exec.Cmd
	output  bytes.Buffer  // read once it has ended
	ended   chan struct{} // closed when the command has ended; err is set before
	err     error
	watched sync.WaitGroup

	mu   sync.Mutex
	used usage // of the last command, as it was sampled; the peak is that of all commands
}

// running reports whether the last command still runs.
func (t *toolRun) running() bool {
	if t.command == nil {
		return false
	}
	select {
	case <-t.ended:
		return false
	default:
		return true
	}
}

// act makes the tool look: by its trigger when it is running, and by starting it when it is not.
func (t *toolRun) act(ctx context.Context) error {
	if !t.running() {
		return t.start()
	}
	if t.trigger == nil {
		return nil
	}
	text, err := t.render(t.trigger)
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, "sh", "-c", text)
	command.Dir = t.dir
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("the trigger of %s failed: %w:\n%s", t.name, err, output)
	}
	return nil
}

func (t *toolRun) render(command *template.Template) (string, error) {
	var text strings.Builder
	if err := command.Execute(&text, t.task); err != nil {
		return "", fmt.Errorf("cannot fill in the command of %s: %w", t.name, err)
	}
	return text.String(), nil
}

// start starts the command and samples what it uses.
func (t *toolRun) start() error {
	t.watched.Wait()
	text, err := t.render(t.tool.command)
	if err != nil {
		return err
	}
	t.output.Reset()
	t.command, t.ended, t.used, t.err = exec.Command("sh", "-c", text), make(chan struct{}), usage{peak: t.used.peak}, nil
	t.command.Dir, t.command.Stdout, t.command.Stderr = t.dir, &t.output, &t.output
	t.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := t.command.Start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", t.name, err)
	}
	t.watched.Go(t.sampleUsage)
	go func() {
		t.err = t.command.Wait()
		close(t.ended)
	}()
	return nil
}

// await waits for something to be seen, and gives up when the command fails.
func (t *toolRun) await(ctx context.Context, e *expectation) (time.Time, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := t.ended
	t.watched.Go(func() {
		select {
		case <-ended:
			if t.err != nil {
				cancel(t.err)
			}
		case <-ctx.Done():
		}
	})
	at, err := e.wait(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%s: %w: %w", t.name, err, cause)
	}
	return at, err
}

// finish waits for the command to end, and fails when it failed. It returns false when it keeps running instead.
func (t *toolRun) finish(ctx context.Context) (ended bool, err error) {
	select {
	case <-t.ended:
		t.watched.Wait()
		if t.err != nil {
			return true, fmt.Errorf("%s failed: %w:\n%s", t.name, t.err, t.output.String())
		}
		return true, nil
	case <-time.After(keepsRunning):
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// keepsRunning is how long after its work a command is taken for one that does not end.
const keepsRunning = 5 * time.Second

// usage returns what the last command has used so far. A command that has ended counts with all that it waited for; its memory was sampled.
func (t *toolRun) usage() usage {
	t.mu.Lock()
	defer t.mu.Unlock()
	used := t.used
	if !t.running() && t.command != nil {
		used.cpu = (t.command.ProcessState.UserTime() + t.command.ProcessState.SystemTime()).Seconds()
	}
	return used
}

// sampleUsage looks at what the command uses until it has ended.
func (t *toolRun) sampleUsage() {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for t.running() {
		if now, err := usageOf(t.command.Process.Pid); err == nil {
			t.mu.Lock()
			t.used.cpu, t.used.peak = now.cpu, max(t.used.peak, now.peak)
			t.mu.Unlock()
		}
		<-ticker.C
	}
}

// close ends the command.
func (t *toolRun) close() {
	if t.running() {
		_ = syscall.Kill(-t.command.Process.Pid, syscall.SIGTERM)
		select {
		case <-t.ended:
		case <-time.After(10 * time.Second):
			_ = syscall.Kill(-t.command.Process.Pid, syscall.SIGKILL)
			<-t.ended
		}
	}
	t.watched.Wait()
}
