package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"kilter.dev/kilter/internal/report"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/verdict"
	"kilter.dev/kilter/source"
)

// validateOptions are the flags of kilter validate.
type validateOptions struct {
	output      string
	ref         string
	namespace   string
	kubeVersion string
	strict      bool
	limits      limits
	stdin       io.Reader
	stdout      io.Writer
}

// formats are the values of --output.
var formats = map[string]func(out io.Writer) report.Format{
	"text":   func(out io.Writer) report.Format { return textFor(out).Write },
	"json":   func(io.Writer) report.Format { return report.JSON },
	"github": func(io.Writer) report.Format { return report.GitHub },
	"sarif":  func(io.Writer) report.Format { return report.SARIF },
}

func validateCommand() *cobra.Command {
	var o validateOptions
	cmd := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Say what the API server will say to files, without a cluster",
		Long: `Say what the API server will say to files, without a cluster. A PATH is a file, a directory or - for standard input. Of a
directory *.yaml, *.yml and *.json are read, without hidden directories and what .kilterignore lists. All PATHs together are one
tree: duplicates, custom kinds and dependencies are looked for across them.

With --ref the PATHs are read from that commit of the local repository that they lead into, bare or not: repo.git is all of it,
repo.git/prod a directory in it.

Exit codes: 0 no problem, or warnings only; 1 errors, or warnings with --strict; 2 a wrong command line, or what cannot be read.`,
		Example: `  kilter validate prod/
  helm template shop ./chart | kilter validate -
  kilter validate --ref main repo.git/prod
  kilter validate . -o sarif > kilter.sarif`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("kilter validate needs a PATH: a file, a directory, or - for standard input; . is this directory")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.stdin, o.stdout = cmd.InOrStdin(), cmd.OutOrStdout()
			return o.run(cmd.Context(), args)
		},
	}
	outputFlag(cmd, &o.output, formats)
	flags := cmd.Flags()
	flags.StringVar(&o.ref, "ref", "", "read the PATHs from this branch, tag, commit or HEAD of their local repository")
	flags.StringVarP(&o.namespace, "namespace", "n", "default", "namespace of objects that name none")
	flags.StringVar(&o.kubeVersion, "kube-version", "", "Kubernetes release whose rules are asked (default: "+verdict.Version()+")")
	flags.BoolVar(&o.strict, "strict", false, "let warnings fail, too")
	o.limits.add(flags)
	return cmd
}

// input is what there is to validate.
type input struct {
	tree             fs.FS
	paths            []string
	revision         string                   // of a commit
	name             func(file string) string // as the user calls it
	nameInRepository func(file string) string
	close            func() error
}

func (o *validateOptions) run(ctx context.Context, args []string) (err error) {
	format, err := chosen(formats, o.output)
	if err != nil {
		return err
	}
	if wrong := validation.IsDNS1123Label(o.namespace); len(wrong) > 0 {
		return fmt.Errorf("-n %q is no name of a namespace: %s", o.namespace, wrong[0])
	}
	if err := emulate(o.kubeVersion); err != nil {
		return err
	}
	in, err := o.open(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.close()) }()
	if o.output == "github" || o.output == "sarif" {
		in.name = in.nameInRepository
	}
	set, err := manifests.NewLoader(o.limits.options()).Load(ctx, in.tree, manifests.Target{
		Paths: in.paths, DefaultNamespace: o.namespace, Name: in.name,
	})
	if broken, ok := errors.AsType[*fs.PathError](err); ok {
		return unreadable(broken.Path, broken)
	} else if err != nil {
		return err
	}
	if nothing := len(set.Objects) + len(set.Problems) + len(set.Skipped); nothing == 0 { // an empty pipe is no success
		set.Problems = []manifests.Problem{{
			Reason: manifests.ReasonEmpty, Severity: manifests.Error, Message: "no object found: what was read is empty, or comments",
		}}
	}
	found := &report.Report{
		Set: set, Kubernetes: verdict.Version(), Revision: in.revision, Version: version, Name: in.name,
		Read: func(file string) ([]byte, error) { return fs.ReadFile(in.tree, file) },
	}
	if err := format(o.stdout)(o.stdout, found); err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	if found.Count(manifests.Error) > 0 || o.strict && found.Count(manifests.Warning) > 0 {
		return &exitError{code: exitProblems, err: errors.New(found.Summary()), silent: true}
	}
	return nil
}

func (o *validateOptions) open(ctx context.Context, args []string) (*input, error) {
	if o.ref != "" {
		return openCommit(ctx, o.ref, args)
	}
	for _, arg := range args {
		if isBare(arg) {
			return nil, fmt.Errorf("%s is a bare repository: add --ref to say which commit of it to read, such as --ref HEAD", arg)
		}
	}
	f, err := openFiles(ctx, args, o.stdin, int64(o.limits.file))
	if err != nil {
		return nil, err
	}
	return &input{
		tree: f, paths: f.paths(), name: f.name, nameInRepository: f.nameInRepository, close: func() error { return nil },
	}, nil
}

// openCommit reads the arguments from a commit of the repository that they lead into. Files have their names in the repository.
func openCommit(ctx context.Context, ref string, args []string) (*input, error) {
	var repository string
	var paths []string
	for _, arg := range args {
		if arg == "-" {
			return nil, errors.New("--ref reads a repository, not standard input: leave out - or --ref")
		}
		dir, inside, found := source.FindLocal(followed(arg))
		switch {
		case !found:
			return nil, fmt.Errorf("cannot read %s: it leads into no Git repository; --ref needs one", arg)
		case repository != "" && repository != dir:
			return nil, fmt.Errorf("cannot read %s: it is in another repository than %s; --ref needs all PATHs in one", arg, args[0])
		}
		repository, paths = dir, append(paths, inside)
	}
	local, err := source.OpenLocal(repository)
	if err != nil {
		return nil, err
	}
	snapshot, err := local.Snapshot(ctx, ref, paths...)
	if err != nil {
		return nil, errors.Join(err, local.Close())
	}
	same := func(file string) string { return file }
	return &input{
		tree: snapshot.Tree, paths: paths, revision: snapshot.Revision, name: same, nameInRepository: same, close: local.Close,
	}, nil
}

// followed follows the symbolic links in the part of a path that exists; its end may be known to a commit only.
func followed(name string) string {
	name, err := filepath.Abs(name)
	if err != nil {
		return name
	}
	if place, err := filepath.EvalSymlinks(name); err == nil || name == filepath.Dir(name) {
		return place
	}
	return filepath.Join(followed(filepath.Dir(name)), filepath.Base(name))
}

// emulate makes the rules those of a release: 1.37, v1.37 or, of which only the minor version counts, 1.37.2.
func emulate(release string) error {
	if release == "" {
		return nil
	}
	parts := strings.SplitN(release, ".", 3)
	if err := verdict.Emulate(strings.Join(parts[:min(len(parts), 2)], ".")); err != nil {
		return fmt.Errorf("--kube-version: %w", err)
	}
	return nil
}

// textFor looks at where text goes: colours and lines of files are for terminals.
func textFor(out io.Writer) report.Text {
	width, paint := terminal(out)
	return report.Text{Width: width, Paint: paint}
}
