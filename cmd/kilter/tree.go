package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/view"
	"kilter.dev/kilter/source"
)

// treeOptions are the flags of kilter tree.
type treeOptions struct {
	question
	file  string
	noGit bool
}

// treeFormats are the values of --output.
var treeFormats = map[string]func(io.Writer, *view.Tree) error{
	"text": func(to io.Writer, t *view.Tree) error { _, err := io.WriteString(to, t.Text()); return err },
	"json": writeJSON[*view.Tree],
}

func treeCommand() *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:   "tree [SYNC | KIND/NAME]",
		Short: "Show what a Sync keeps, what waits for what, and the pods below",
		Long: `Show the objects of a Sync with their states: each under the one that it depends on, with what it waits for, where Git asks for it, and
below it what its controller has made, down to the pods. The SYNC may be left out where the namespace has only one.

With KIND/NAME it shows the way up from that object: to its workload, the Sync, the file, the line and the commit.

Files, lines and what is not applied yet come from the Sync's repository, which is read for it; --no-git leaves them out. For a Sync that is
kept from a file (kilter run -f) name the file here too.`,
		Example: `  kilter tree shop
  kilter tree pod/migrate-x7k2p -n shop
  kilter tree -f sync.yaml -o json`,
		Args: atMostOne("Sync or object"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, strings.Join(args, ""))
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with the Sync document")
	flags.BoolVar(&o.noGit, "no-git", false, "do not read the repository")
	flags.BoolVar(&o.allowInsecureGit, "allow-insecure-git", false, "allow plain http:// repositories")
	o.limits.add(flags)
	outputFlag(cmd, &o.output, treeFormats)
	o.add(cmd, false)
	return cmd
}

func (o *treeOptions) run(cmd *cobra.Command, what string) (err error) {
	write, err := chosen(treeFormats, o.output)
	if err != nil {
		return err
	}
	var file *v1alpha1.Sync
	if o.file != "" {
		if file, err = readSync(o.file); err != nil {
			return err
		}
		o.namespace = file.Namespace
	}
	if err := o.open(cmd); err != nil {
		return err
	}
	remove, err := o.makeDataDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	tree, err := o.tree(cmd.Context(), what, file)
	if err != nil {
		return err
	}
	return write(o.stdout, tree)
}

// tree finds what was asked for: a Sync by its name, or the way up from an object.
func (o *treeOptions) tree(ctx context.Context, what string, file *v1alpha1.Sync) (*view.Tree, error) {
	if !strings.Contains(what, "/") {
		if file != nil && what == "" {
			what = file.Name
		}
		set, err := o.theSet(ctx, what)
		if err != nil {
			return nil, err
		}
		return o.look(ctx, set, file)
	}
	id, err := o.reader.Find(o.namespace, what)
	if err != nil {
		return nil, err
	}
	way, set, err := o.reader.Up(ctx, id)
	switch {
	case err != nil && way == nil:
		return nil, err
	case err != nil || set == nil:
		return view.Way(way, err), nil
	}
	tree, err := o.look(ctx, *set, file)
	if err == nil && tree.Only(id) {
		o.place(tree, *set, file)
	} else if err == nil {
		tree.Objects = view.Way(way, nil).Objects
	}
	return tree, err
}

// look reads a set, and what its repository asks for.
func (o *treeOptions) look(ctx context.Context, set view.Set, file *v1alpha1.Sync) (*view.Tree, error) {
	sight, err := o.reader.Look(ctx, set)
	if err != nil {
		return nil, err
	}
	var note view.Note
	sync, revision := set.Sync, ""
	if sync != nil {
		revision = view.Enforced(sync)
	}
	switch {
	case o.noGit:
	case sync == nil && file == nil:
		note = "Files, lines and what is not applied yet are known only to those who have the Sync's file: add -f sync.yaml."
	default:
		if sync == nil {
			sync = file
		}
		wanted, at, err := o.wanted(ctx, o.cluster, sync, revision)
		if err != nil {
			note = view.Note(fmt.Sprintf("Files, lines and what is not applied yet are left out, since the repository could not be read: %v", err))
			break
		}
		sight.Desired, sight.Revision, sight.Invalid = wanted.Objects, at, wanted.Rejected()
	}
	tree := sight.Tree()
	if note != "" {
		tree.Notes = append(tree.Notes, note)
	}
	return tree, nil
}

// place says in full where Git asks for the one object that is left in a tree.
func (o *treeOptions) place(tree *view.Tree, set view.Set, file *v1alpha1.Sync) {
	top := tree.Objects[0]
	if top.File == "" {
		return
	}
	sync := set.Sync
	if sync == nil {
		sync = file
	}
	text := fmt.Sprintf("%s is asked for by %s", top, manifests.Origin{File: top.File, Line: top.Line})
	if sync != nil {
		text += " of " + source.Redact(sync.Spec.Git.URL)
	}
	tree.Notes = append(tree.Notes, view.Note(text+" at "+top.Revision+"."))
}
