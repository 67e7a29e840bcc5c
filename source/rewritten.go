package source

import (
	"errors"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// maxAncestors bounds the search through commits; so many in one push that leads back all the same is taken for rewritten.
const maxAncestors = 10_000

// rewritten returns the commit that a branch pointed to before, when the branch has left its history. It has to be asked after advance, with
// its error, before anything else is done to the store.
//
// A fetch beyond a commit brings every commit that is not among its ancestors, so whatever leads back to it is in the store. The new commit
// itself is missing when it is one of those ancestors. After any other failure nothing is known.
func (r *Repository) rewritten(t target, advanced error) Commit {
	before := r.last.commit
	if before.IsZero() || before == t.want || !strings.HasPrefix(t.name, "refs/heads/") {
		return ""
	}
	if !errors.Is(advanced, errUnknownTip) {
		if advanced != nil && !errors.Is(advanced, plumbing.ErrObjectNotFound) {
			return ""
		}
		if leads, err := r.store.leads(t.want, before); leads || err != nil {
			return ""
		}
	}
	return Commit(before.String())
}

// leads reports whether a commit has another one among its ancestors, as far as they are in the store.
func (s *store) leads(from, to plumbing.Hash) (bool, error) {
	seen := map[plumbing.Hash]bool{from: true}
	for queue := []plumbing.Hash{from}; len(queue) > 0 && len(seen) < maxAncestors; queue = queue[1:] {
		if queue[0] == to {
			return true, nil
		}
		if !s.has(queue[0]) {
			continue
		}
		encoded, err := s.object(queue[0])
		if err != nil {
			return false, err
		}
		var commit object.Commit
		if err := commit.Decode(encoded); err != nil {
			return false, err
		}
		for _, parent := range commit.ParentHashes {
			if !seen[parent] {
				seen[parent] = true
				queue = append(queue, parent)
			}
		}
	}
	return false, nil
}
