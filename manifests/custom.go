package manifests

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kilter.dev/kilter/manifests/schema"
	"kilter.dev/kilter/manifests/verdict"
)

// customs remembers, from one load to the next, the compiled CRDs of the tree and what they say of its custom resources: a schema is
// compiled only when an object is to be judged by it, and an object is judged again only when it or the CRD has changed.
type customs struct {
	versions map[versionKey]compiled
	verdicts map[verdictKey]verdict.Verdict
}

// versionKey is a version of a CRD, by the hash of its JSON.
type versionKey struct{ crd, version string }

type verdictKey struct {
	versionKey
	object string // the hash of its JSON
}

// compiled is nil inside when the server could not serve the version: that is the CRD's own problem.
type compiled struct{ *schema.Version }

// judgeCustom adds the verdicts on the custom resources whose CRD is in the tree. Of the others the server decides at apply.
func (a *assembly) judgeCustom(ctx context.Context, x *index, s *scope) error {
	old := &a.memory.customs
	crds := map[string]*manifest{} // by the hash of their JSON
	for _, m := range s.definitions {
		if m.object.JSON != nil && !m.failed() {
			crds[m.object.Hash] = m
		}
	}
	if len(crds) == 0 {
		*old = customs{}
		return nil
	}
	current := customs{versions: map[versionKey]compiled{}, verdicts: map[verdictKey]verdict.Verdict{}}
	for key, version := range old.versions {
		if crds[key.crd] != nil {
			current.versions[key] = version
		}
	}
	var judged []*manifest
	var keys []verdictKey
	missing := map[verdictKey]*manifest{}
	for _, m := range x.all {
		crd := s.definitions[m.object.ID.GroupKind()]
		if crd == nil || crds[crd.object.Hash] == nil || m.object.JSON == nil || m.unserved {
			continue
		}
		key := verdictKey{versionKey{crd.object.Hash, m.object.Version}, m.object.Hash}
		judged, keys = append(judged, m), append(keys, key)
		if v, known := old.verdicts[key]; known {
			current.verdicts[key] = v
		} else {
			missing[key] = m
			current.compile(key.versionKey, crd)
		}
	}
	if err := current.judge(ctx, missing); err != nil {
		return err
	}
	*old = current
	for i, m := range judged {
		if v, known := current.verdicts[keys[i]]; known {
			a.tell(m, v)
		} else {
			a.problem(m, "", Problem{
				Reason: ReasonLimit, Severity: Warning,
				Message: fmt.Sprintf("not checked by its CRD, since the rules of all took longer than %s: the server decides at apply", maxJudging),
			})
		}
	}
	return nil
}

// compile compiles a version that is not yet known.
func (c *customs) compile(key versionKey, crd *manifest) {
	if _, known := c.versions[key]; known {
		return
	}
	version, err := schema.Compile(crd.object.JSON, key.version)
	if err != nil {
		version = nil
	}
	c.versions[key] = compiled{version}
}

// maxJudging bounds the time for the verdicts of one load. The server bounds the rules of one object, to a second or so; a tree can
// hold thousands.
const maxJudging = time.Minute

// judge gives the missing verdicts, side by side. What takes too long stays missing; the error is the context's.
func (c *customs) judge(ctx context.Context, missing map[verdictKey]*manifest) error {
	bounded, cancel := context.WithTimeout(ctx, maxJudging)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var lock sync.Mutex // of verdicts
	for key, m := range missing {
		version := c.versions[key.versionKey]
		group.Go(func() error {
			var v verdict.Verdict
			if version.Version != nil && bounded.Err() == nil {
				v = version.Create(bounded, m.object.JSON)
			}
			if bounded.Err() == nil { // a rule that was broken off has failed
				lock.Lock()
				defer lock.Unlock()
				c.verdicts[key] = v
			}
			return nil
		})
	}
	return cmp.Or(group.Wait(), ctx.Err())
}

// tell reports a verdict, without what decoding the metadata has said already.
func (a *assembly) tell(m *manifest, v verdict.Verdict) {
	for _, cause := range v.Causes {
		if !slices.ContainsFunc(m.problems, func(p Problem) bool { return p.Field == cause.Field && p.Reason == cause.Reason }) {
			a.problem(m, cause.Field, Problem{Reason: cause.Reason, ByRules: true, Severity: Error, Message: cause.Message})
		}
	}
	for _, warning := range v.Warnings {
		field, message := splitWarning(warning)
		a.problem(m, field, Problem{Reason: ReasonWarning, Severity: Warning, Message: message})
	}
}
