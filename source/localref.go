package source

import (
	"cmp"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

var shortCommit = regexp.MustCompile(`^[0-9a-f]{4,40}$`)

// refRules are the places where Git looks for a name, in its order (gitrevisions, "<refname>").
var refRules = []string{"refs/", "refs/tags/", "refs/heads/", "refs/remotes/"}

// resolve finds what a user means by a ref: the object's ID, and what stands before "@" in the revision; empty for a commit.
//
//	40 digits           the commit, whatever else has that name
//	HEAD, refs/…        as it is
//	a name              tag, branch, remote's branch, in Git's order
//	4 to 39 digits      the one commit whose ID begins so
func (l *Local) resolve(ref string) (plumbing.Hash, string, error) {
	if digits := strings.ToLower(ref); fullCommit.MatchString(digits) {
		hash := plumbing.NewHash(digits)
		if !l.store.has(hash) {
			return hash, "", l.absent(digits)
		}
		return hash, "", nil
	}
	names := []string{ref}
	if ref != "HEAD" && !strings.HasPrefix(ref, "refs/") {
		names = nil
		for _, rule := range refRules {
			names = append(names, rule+ref)
		}
	}
	for _, name := range names {
		hash, revision, err := l.reference(plumbing.ReferenceName(name))
		if err == nil && revision == "" { // a detached HEAD, or a name to keep as the user wrote it
			revision = ref
		}
		if !errors.Is(err, plumbing.ErrReferenceNotFound) {
			return hash, revision, err
		}
	}
	if digits := strings.ToLower(ref); shortCommit.MatchString(digits) {
		hash, err := l.abbreviated(digits)
		return hash, "", err
	}
	return plumbing.ZeroHash, "", l.unknown(ref)
}

// absent says that a commit is not here.
func (l *Local) absent(digits string) *Error {
	return fail(RefNotFound, "fetch it first; a shallow clone has only the newest commits", "commit %s not found", digits)
}

// reference reads a ref and follows it. The revision is that of HEAD's branch, and empty for all others.
func (l *Local) reference(name plumbing.ReferenceName) (hash plumbing.Hash, revision string, err error) {
	const links = 5 // Git's own bound on symbolic refs (refs.h, SYMREF_MAXDEPTH)
	for range links {
		if name != plumbing.HEAD && name.Validate() != nil {
			return hash, "", plumbing.ErrReferenceNotFound
		}
		ref, err := l.store.objects.Reference(name)
		if err != nil {
			return hash, "", plumbing.ErrReferenceNotFound
		}
		if ref.Type() == plumbing.HashReference {
			return ref.Hash(), revision, nil
		}
		name = ref.Target()
		revision = name.Short()
	}
	return hash, "", fail(InvalidRef, "name the branch it should lead to",
		"%s leads through more than %d symbolic refs", printable(name.String()), links)
}

// abbreviated finds the commit whose ID begins with the digits.
func (l *Local) abbreviated(digits string) (plumbing.Hash, error) {
	prefix, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil {
		return plumbing.ZeroHash, l.unknown(digits)
	}
	var all []plumbing.Hash
	err = l.store.access(func() error {
		all, err = l.store.objects.HashesWithPrefix(prefix)
		return err
	})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	var commits []string
	for _, hash := range all {
		if !strings.HasPrefix(hash.String(), digits) {
			continue
		}
		if object, err := l.store.object(hash); err == nil && object.Type() == plumbing.CommitObject {
			commits = append(commits, hash.String())
		}
	}
	slices.Sort(commits)
	switch len(commits) {
	case 0:
		return plumbing.ZeroHash, l.unknown(digits)
	case 1:
		return plumbing.NewHash(commits[0]), nil
	}
	return plumbing.ZeroHash, fail(InvalidRef, "give more digits",
		"%s is the beginning of several commits: %s", digits, enumerate(commits))
}

// unknown says that no such ref exists, and which there are, the likest ones first.
func (l *Local) unknown(ref string) *Error {
	var names []string
	if all, err := l.store.objects.IterReferences(); err == nil {
		_ = all.ForEach(func(r *plumbing.Reference) error {
			if name := r.Name(); name != plumbing.HEAD && (name.IsBranch() || name.IsTag() || name.IsRemote()) {
				names = append(names, name.Short())
			}
			return nil
		})
	}
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(likeness(b, ref), likeness(a, ref)) })
	hint := "the repository has no branch and no tag yet"
	if len(names) > 0 {
		hint = "give a branch, a tag, a commit or HEAD; the repository has " + enumerate(names)
	}
	return fail(RefNotFound, hint, "ref %s not found", printable(ref))
}

// likeness counts the characters that two names have in common at their beginning and, beyond that, at their end.
func likeness(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	start, end := 0, 0
	for start < min(len(a), len(b)) && a[start] == b[start] {
		start++
	}
	for end < min(len(a), len(b))-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return start + end
}
