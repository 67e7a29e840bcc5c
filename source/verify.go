package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// VerifyMode is what has to be signed.
type VerifyMode string

// The modes.
const (
	VerifyHead       VerifyMode = "head"       // the commit
	VerifyTag        VerifyMode = "tag"        // the annotated tag that the Ref names, and thereby its commit
	VerifyTagAndHead VerifyMode = "tagAndHead" // both, each by any of the keys
)

// Verification asks for signatures by named keys. Without them there is no Snapshot.
type Verification struct {
	Mode VerifyMode

	// Keys is asked at the start of each Fetch: files, by name, of armored OpenPGP public keys or of SSH public keys, one a line. When
	// they change, what was fetched before is judged anew. The text of an error it returns is shown to users.
	Keys func(context.Context) (map[string][]byte, error)
}

// validate says why the mode does not go with the ref.
func (v *Verification) validate(ref Ref) *Error {
	if v == nil {
		return nil
	}
	switch v.Mode {
	case VerifyHead:
		return nil
	case VerifyTag, VerifyTagAndHead:
		if ref.Tag == "" && ref.SemVer == "" && !plumbing.ReferenceName(ref.Name).IsTag() {
			return fail(InvalidRef, "name a tag or a range of versions, or verify the head", "tags are to be verified and the ref is none")
		}
		return nil
	}
	return fail(InvalidRef, "use head, tag or tagAndHead", "%s is no way to verify", printable(string(v.Mode)))
}

// jury is who judges signatures during one attempt; the zero value lets everything pass.
type jury struct {
	mode VerifyMode
	keys trust
	id   [sha256.Size]byte // changes when the keys do
}

// readKeys calls the jury together.
func (v *Verification) readKeys(ctx context.Context) (jury, *Error) {
	if v == nil {
		return jury{}, nil
	}
	files, err := v.Keys(ctx)
	if err != nil {
		failure := fail(InvalidCredentials, "", "the keys to verify with cannot be read: %s", printable(err.Error()))
		failure.Err = err
		return jury{}, failure
	}
	j := jury{mode: v.Mode, keys: trust{ssh: map[string]string{}}}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := j.keys.add(files[name]); err != nil {
			return jury{}, fail(InvalidCredentials, "mend it, or take it out", "the file %s of keys to verify with %s", printable(name), err)
		}
		fmt.Fprintf(all, "%d %s %d ", len(name), name, len(files[name]))
		all.Write(files[name])
	}
	if len(files) == 0 {
		return jury{}, fail(InvalidCredentials, "give one for each key that may sign", "there are no keys to verify with")
	}
	all.Sum(j.id[:0])
	return j, nil
}

// judge returns who has signed the target, whose commit is in the store, or an *Error of Reason Unverified. The objects are hashed
// again, so that what was signed is what has the ID.
func (j jury) judge(s *store, t target, commit plumbing.Hash) (signer string, err error) {
	if j.mode == VerifyTag || j.mode == VerifyTagAndHead {
		raw, err := s.raw(t.want)
		if err != nil {
			return "", err
		}
		if raw.Type() != plumbing.TagObject {
			return "", unverified("sign a tag with `git tag --sign`", "the tag %s is a lightweight one, which cannot be signed", t.revision)
		}
		if signer, err = j.judgeTag(raw, t); err != nil {
			return "", err
		}
	}
	if j.mode == VerifyHead || j.mode == VerifyTagAndHead {
		raw, err := s.raw(commit)
		if err != nil {
			return "", err
		}
		taken, err := signedCommit(content(raw))
		if err == nil {
			signer, err = j.keys.check(taken)
		}
		if err != nil {
			return "", unverified("sign it with a trusted key, or add its key to the trusted ones", "the commit is not trusted: %s", err)
		}
	}
	return signer, nil
}

// judgeTag also sees to it that a tag is not shown under another name: an old release must not come back as a new one.
func (j jury) judgeTag(raw *plumbing.MemoryObject, t target) (string, error) {
	signer, err := j.keys.check(signedTag(content(raw)))
	if err != nil {
		return "", unverified("sign it with a trusted key, or add its key to the trusted ones",
			"the tag %s is not trusted: %s", printable(t.revision), err)
	}
	var tag object.Tag
	if err := tag.Decode(raw); err != nil || tag.Name != plumbing.ReferenceName(t.name).Short() {
		return "", unverified("make and push the tag again", "the tag %s is signed as another one, %s", printable(t.revision), printable(tag.Name))
	}
	return signer, nil
}

func unverified(hint, format string, args ...any) *Error {
	return fail(Unverified, hint, format, args...)
}

// raw reads an object, and makes sure that it is the one with this ID.
func (s *store) raw(hash plumbing.Hash) (*plumbing.MemoryObject, error) {
	o, err := s.object(hash)
	if err != nil {
		return nil, err
	}
	if plumbing.ComputeHash(o.Type(), content(o)) != hash {
		return nil, &storeError{"read an object", fmt.Errorf("%s is another object", hash)}
	}
	return o, nil
}

// content is what an object in memory holds.
func content(o *plumbing.MemoryObject) []byte {
	var all bytes.Buffer
	if reader, err := o.Reader(); err == nil { // it cannot fail: the object is in memory
		_, _ = all.ReadFrom(reader)
	}
	return all.Bytes()
}
