// Package source turns a Git repository into a Snapshot: one pinned commit and the files below one path of it.
//
// Open checks the Options; each Repository.Fetch is one conversation with the server:
//
//	connect   credentials of the moment -> wire (HTTP, bounded) -> the server's refs
//	resolve   Ref + refs -> target: the object to ask for; unmoved means the same Snapshot again
//	receive   only what is new, and of it what the path holds -> store (packs on disk); when that fails, a fresh shallow clone
//	verify    the commit's or tag's signature, where one is asked for
//	walk      commit + Path -> Tree: names and blob IDs, whole or not at all
//
// OpenLocal reads a repository on this machine's disk: it resolves the ref there, and walks.
//
// A Tree reads blobs from the store when they are asked for: there is no work tree. Every failure is an *Error with a
// Reason from a closed set and the way out. The package never returns part of a tree, never follows a redirect to
// another host, never lets a credential into a text, and keeps no global state. It knows no Kubernetes: what the files
// mean is package manifests' business.
package source

import "io/fs"

// Commit is a full commit ID in lower-case hexadecimal.
type Commit string

// Short returns the first 12 digits, for people.
func (c Commit) Short() string {
	if len(c) > 12 {
		return string(c[:12])
	}
	return string(c)
}

// Uncommitted stands in a Snapshot for the commit of files that are in none.
const Uncommitted Commit = "uncommitted"

// Snapshot is one commit, read whole or not at all.
type Snapshot struct {
	// Commit is the commit that every file of Tree comes from.
	Commit Commit
	// Revision is the ref and commit as status shows them: "main@sha1:<commit>".
	Revision string
	// Rewritten is the commit that the branch pointed to before, where this one does not lead back to it: somebody has pushed by force. Empty
	// otherwise, and where it cannot be known, as after a fresh start.
	Rewritten Commit
	// Tree holds the files below Path; any other file of the commit is read when it is asked for by name. Names are the repository's, as
	// its authors know them. Of a commit it is a *Tree.
	Tree fs.FS
	// Signer is the key that has signed the commit, or else the tag, where Options.Verify asks for it: "SSH key SHA256:…".
	Signer string
	// Path is the configured path in its shortest form; "." for the whole repository.
	Path string
}

// Ref selects a commit. At most one field is set; none means the repository's default branch.
type Ref struct {
	Branch string // a branch's short name, such as "main"
	Tag    string // a tag's short name; annotated tags are followed to their commit
	SemVer string // a range of versions, such as ">=1.2 <2": the highest tag in it, "1.4.0" or "v1.4.0"
	Commit Commit // a full commit ID
	Name   string // a full ref name, such as "refs/heads/main"
}
