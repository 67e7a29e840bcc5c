package source

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// target is what a Ref means on a server at one moment.
type target struct {
	want     plumbing.Hash // the object to ask for: a commit, or an annotated tag that leads to one
	revision string        // what stands before "@" in the revision; empty for a commit
	pinned   bool          // the Ref is a commit: it may be no tip, and it can never move
}

// validate returns the Ref in its normal form, or why it cannot be one.
func (r Ref) validate() (Ref, *Error) {
	r.Commit = Commit(strings.ToLower(string(r.Commit)))
	given := 0
	for _, field := range []string{r.Branch, r.Tag, string(r.Commit), r.Name} {
		if field != "" {
			given++
		}
	}
	name := r.fullName()
	switch {
	case given > 1:
		return r, fail(InvalidRef, "keep one of them", "more than one of branch, tag, commit and name is given")
	case r.Commit != "" && !fullCommit.MatchString(string(r.Commit)):
		return r, fail(InvalidRef, "give the full ID, as `git rev-parse HEAD` prints it",
			"commit %s is not a full commit ID of 40 hexadecimal digits", printable(string(r.Commit)))
	case name != "" && (!strings.HasPrefix(name, "refs/") || plumbing.ReferenceName(name).Validate() != nil):
		return r, fail(InvalidRef, "give a full name such as refs/heads/main, or a branch or tag by its short name",
			"%s is not a valid ref name", printable(name))
	}
	return r, nil
}

// fullName returns the name that the server knows the ref by; empty for a commit and for the default branch.
func (r Ref) fullName() string {
	switch {
	case r.Branch != "":
		return "refs/heads/" + r.Branch
	case r.Tag != "":
		return "refs/tags/" + r.Tag
	}
	return r.Name
}

// revision returns the text that status shows for a commit of this ref.
func (t target) revisionAt(commit plumbing.Hash) string {
	if t.revision == "" {
		return "sha1:" + commit.String()
	}
	return t.revision + "@sha1:" + commit.String()
}

// resolve finds the ref among those that the server lists.
func (r Ref) resolve(listed *packp.AdvRefs) (target, *Error) {
	switch {
	case r.Commit != "":
		return target{want: plumbing.NewHash(string(r.Commit)), pinned: true}, nil
	case r.fullName() == "":
		return resolveDefault(listed)
	}
	want, found := listed.References[r.fullName()]
	switch {
	case found && r.Branch != "":
		return target{want: want, revision: r.Branch}, nil
	case found && r.Tag != "":
		return target{want: want, revision: r.Tag}, nil
	case found:
		return target{want: want, revision: r.Name}, nil
	case r.Branch != "":
		return target{}, notListed("branch", r.Branch, shortNames(listed, "refs/heads/"))
	case r.Tag != "":
		return target{}, notListed("tag", r.Tag, shortNames(listed, "refs/tags/"))
	}
	return target{}, notListed("ref", r.Name, slices.Sorted(maps.Keys(listed.References)))
}

// resolveDefault follows the server's HEAD: to the branch that it names, or, when it names none, to its commit.
func resolveDefault(listed *packp.AdvRefs) (target, *Error) {
	for _, symref := range listed.Capabilities.Get(capability.SymRef) {
		name, isHead := strings.CutPrefix(symref, "HEAD:")
		if want, found := listed.References[name]; isHead && found {
			return target{want: want, revision: plumbing.ReferenceName(name).Short()}, nil
		}
	}
	if listed.Head != nil {
		return target{want: *listed.Head, revision: "HEAD"}, nil
	}
	return target{}, fail(RefNotFound, "name a branch; the repository has "+enumerate(shortNames(listed, "refs/heads/")),
		"the repository's default branch does not exist")
}

func notListed(kind, name string, others []string) *Error {
	hint := "the repository has " + enumerate(others)
	if len(others) == 0 {
		hint = "the repository has none"
	}
	return fail(RefNotFound, hint, `%s "%s" not found`, kind, strings.Trim(printable(name), `"`))
}

func shortNames(listed *packp.AdvRefs, prefix string) []string {
	var names []string
	for name := range listed.References {
		if short, found := strings.CutPrefix(name, prefix); found {
			names = append(names, short)
		}
	}
	slices.Sort(names)
	return names
}
