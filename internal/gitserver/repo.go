package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Repo is a working clone of one of a Server's repositories. It is not safe for concurrent use.
type Repo struct {
	Dir  string // the work tree; files may also be written straight into it
	Bare string // the repository that the Server serves; empty when there is none
	git  string
}

// Create makes an empty bare repository of that name on the Server, with main as its default branch, and a Repo with
// its work tree in dir, as NewRepo does.
func (s *Server) Create(ctx context.Context, name, dir string) (*Repo, error) {
	bare := filepath.Join(s.options.Dir, name+".git")
	r, err := NewRepo(ctx, dir, bare)
	if err != nil {
		return nil, err
	}
	r.Bare = bare
	if _, err := r.Git(ctx, "init", "--quiet", "--bare", "--initial-branch=main", bare); err != nil {
		return nil, err
	}
	settings := "[http]\n\treceivepack = true\n"
	if s.options.Parts {
		settings += "[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n"
	}
	return r, configure(bare, settings)
}

// configure adds to a repository's configuration, at once: each `git config` is a process.
func configure(gitDir, settings string) error {
	file, err := os.OpenFile(filepath.Join(gitDir, "config"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(settings)
	return errors.Join(err, file.Close())
}

// NewRepo makes a Repo that pushes to origin, a URL or a directory, with its work tree in dir, which must not be a repository yet; files that
// are there already become part of the first commit.
func NewRepo(ctx context.Context, dir, origin string) (*Repo, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("cannot make a repository: %w; install git", err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make a repository: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make a repository: %w", err)
	}
	r := &Repo{Dir: dir, git: git}
	if _, err := r.Git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return nil, err
	}
	// So that a person in the work tree can commit and push without more ado.
	return r, configure(filepath.Join(dir, ".git"), "[push]\n\tautoSetupRemote = true\n"+
		"[user]\n\tname = Somebody\n\temail = somebody@example.com\n"+
		"[remote \"origin\"]\n\turl = \""+origin+"\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
}

// Write sets the content of one file of the work tree, making its directories; name is slash-separated.
func (r *Repo) Write(name, content string) error {
	file := filepath.Join(r.Dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(content), 0o644)
}

// Replace changes the first occurrence of a text in one file; it is an error when the file does not hold it.
func (r *Repo) Replace(name, from, to string) error {
	content, err := os.ReadFile(filepath.Join(r.Dir, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	if !strings.Contains(string(content), from) {
		return fmt.Errorf("%s does not hold %q, which was to be changed", name, from)
	}
	return r.Write(name, strings.Replace(string(content), from, to, 1))
}

// Remove deletes one file or directory of the work tree; it is an error when there is none.
func (r *Repo) Remove(name string) error {
	file := filepath.Join(r.Dir, filepath.FromSlash(name))
	if _, err := os.Lstat(file); err != nil {
		return err
	}
	return os.RemoveAll(file)
}

// Commit records the work tree as it is, even when nothing changed, and returns the new commit's ID.
func (r *Repo) Commit(ctx context.Context, message string) (string, error) {
	if _, err := r.Git(ctx, "add", "--all"); err != nil {
		return "", err
	}
	if _, err := r.Git(ctx, "commit", "--quiet", "--allow-empty", "--message", message); err != nil {
		return "", err
	}
	return r.Head(ctx)
}

// Head returns the ID of the current commit.
func (r *Repo) Head(ctx context.Context) (string, error) { return r.Git(ctx, "rev-parse", "HEAD") }

// Push sends refs, or the current branch when none is named, to the Server's repository. A ref may be a refspec, such
// as ":old" to delete a branch.
func (r *Repo) Push(ctx context.Context, refs ...string) error { return r.push(ctx, refs) }

// ForcePush is Push that may also rewrite history.
func (r *Repo) ForcePush(ctx context.Context, refs ...string) error {
	return r.push(ctx, refs, "--force")
}

func (r *Repo) push(ctx context.Context, refs []string, flags ...string) error {
	if len(refs) == 0 {
		refs = []string{"HEAD"}
	}
	args := append([]string{"push", "--quiet"}, flags...)
	_, err := r.Git(ctx, append(append(args, "origin"), refs...)...)
	return err
}

// Branch makes a branch at the current commit, or moves to it when it exists already, and switches to it.
func (r *Repo) Branch(ctx context.Context, name string) error {
	if _, err := r.Git(ctx, "show-ref", "--verify", "--quiet", "refs/heads/"+name); err == nil {
		_, err = r.Git(ctx, "switch", "--quiet", name)
		return err
	}
	_, err := r.Git(ctx, "switch", "--quiet", "--create", name)
	return err
}

// Tag names the current commit: with an annotated tag when there is a message, with a plain one otherwise.
func (r *Repo) Tag(ctx context.Context, name, message string) error {
	args := []string{"tag", "--force", name}
	if message != "" {
		args = []string{"tag", "--force", "--annotate", "--message", message, name}
	}
	_, err := r.Git(ctx, args...)
	return err
}

// Git runs any git command in the work tree and returns its output without the final newline.
func (r *Repo) Git(ctx context.Context, args ...string) (string, error) {
	return r.GitInput(ctx, "", args...)
}

// GitInput is Git with something on standard input.
func (r *Repo) GitInput(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.git, args...)
	cmd.Dir = r.Dir
	cmd.Env = environment()
	cmd.Stdin = strings.NewReader(input)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if message := strings.TrimSpace(stderr.String()); message != "" {
			err = errors.New(message)
		}
		return "", fmt.Errorf("cannot run git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// environment is all that git sees of the host: where programs are. The identity is fixed, the host's configuration is
// not read, nothing is ever asked of the user, and a data directory that somebody else owns is no obstacle.
func environment() []string {
	env := []string{
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Kilter", "GIT_AUTHOR_EMAIL=kilter@example.com",
		"GIT_COMMITTER_NAME=Kilter", "GIT_COMMITTER_EMAIL=kilter@example.com",
		"LC_ALL=C",
	}
	for i, setting := range [][2]string{
		{"safe.directory", "*"}, {"core.autocrlf", "false"}, {"gc.auto", "0"}, {"maintenance.auto", "false"},
	} {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, setting[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, setting[1]))
	}
	return append(env, "GIT_CONFIG_COUNT=4", "PATH="+os.Getenv("PATH"))
}
