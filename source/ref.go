package source

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"kilter.dev/kilter/internal/phrase"
)

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)

// target is what a Ref means on a server at one moment.
type target struct {
	want     plumbing.Hash // the object to ask for: a commit, or an annotated tag that leads to one
	revision string        // what stands before "@" in the revision; empty for a commit
	name     string        // the full name of the ref; empty for a commit
	pinned   bool          // the Ref is a commit: it may be no tip, and it can never move
}

// validate returns the Ref in its normal form, or why it cannot be one.
func (r Ref) validate() (Ref, *Error) {
	r.Commit = Commit(strings.ToLower(string(r.Commit)))
	given := 0
	for _, field := range []string{r.Branch, r.Tag, r.SemVer, string(r.Commit), r.Name} {
		if field != "" {
			given++
		}
	}
	name := r.fullName()
	switch {
	case given > 1:
		return r, fail(InvalidRef, "keep one of them", "more than one of branch, tag, semver, commit and name is given")
	case r.Commit != "" && !fullCommit.MatchString(string(r.Commit)):
		return r, fail(InvalidRef, "give the full ID, as `git rev-parse HEAD` prints it",
			"commit %s is not a full commit ID of 40 hexadecimal digits", printable(string(r.Commit)))
	case name != "" && (!strings.HasPrefix(name, "refs/") || plumbing.ReferenceName(name).Validate() != nil):
		return r, fail(InvalidRef, "give a full name such as refs/heads/main, or a branch or tag by its short name",
			"%s is not a valid ref name", printable(name))
	}
	if _, err := semver.NewConstraint(r.SemVer); r.SemVer != "" && err != nil {
		return r, fail(InvalidRef, `write it as ">=1.2 <2", "1.x" or "~1.4"`, "%s is not a range of versions", printable(r.SemVer))
	}
	return r, nil
}

// fullName returns the name that the server knows the ref by; empty for a commit, a range and the default branch.
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
	return phrase.Printable(t.revision) + "@sha1:" + commit.String() // Git lets nearly everything be in a branch's name
}

// resolve finds the ref among those that the server lists.
func (r Ref) resolve(listed *packp.AdvRefs) (target, *Error) {
	switch {
	case r.Commit != "":
		return target{want: plumbing.NewHash(string(r.Commit)), pinned: true}, nil
	case r.SemVer != "":
		return resolveRange(r.SemVer, listed)
	case r.fullName() == "":
		return resolveDefault(listed)
	}
	name := r.fullName()
	want, found := listed.References[name]
	switch {
	case found && r.Branch != "":
		return target{want: want, revision: r.Branch, name: name}, nil
	case found && r.Tag != "":
		return target{want: want, revision: r.Tag, name: name}, nil
	case found:
		return target{want: want, revision: r.Name, name: name}, nil
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
			return target{want: want, revision: plumbing.ReferenceName(name).Short(), name: name}, nil
		}
	}
	if listed.Head != nil {
		return target{want: *listed.Head, revision: "HEAD"}, nil
	}
	return target{}, fail(RefNotFound, "name a branch; the repository has "+enumerate(shortNames(listed, "refs/heads/")),
		"the repository's default branch does not exist")
}

// resolveRange finds the highest version among the tags. A tag is a version when it has all three numbers, with or without a "v"
// before them. A pre-release counts only where the range names one (">=1.2.0-0" names them all). Of two tags of the same version,
// which may differ in what stands after "+", the last one in the order of names counts.
func resolveRange(text string, listed *packp.AdvRefs) (target, *Error) {
	versions, err := semver.NewConstraint(text)
	if err != nil {
		return target{}, fail(InvalidRef, "", "%s is not a range of versions", printable(text))
	}
	tags := shortNames(listed, "refs/tags/")
	var highest *semver.Version
	name := ""
	for _, tag := range tags {
		version, err := semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
		if err == nil && versions.Check(version) && (highest == nil || !version.LessThan(highest)) {
			highest, name = version, tag
		}
	}
	if highest == nil {
		hint := "the repository has no tags"
		if len(tags) > 0 {
			hint = "the repository has the tags " + enumerate(tags)
		}
		return target{}, fail(RefNotFound, hint, "no tag is a version in the range %s", printable(text))
	}
	return target{want: listed.References["refs/tags/"+name], revision: name, name: "refs/tags/" + name}, nil
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
