package manifests

import (
	"context"
	"runtime"
	"slices"

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
	var keys, missing []verdictKey
	for _, m := range x.all {
		crd := s.definitions[m.object.ID.GroupKind()]
		if crd == nil || crds[crd.object.Hash] == nil || m.object.JSON == nil || m.unserved {
			continue
		}
		key := verdictKey{versionKey{crd.object.Hash, m.object.Version}, m.object.Hash}
		judged, keys = append(judged, m), append(keys, key)
		if v, known := old.verdicts[key]; known {
			current.verdicts[key] = v
		} else if _, twice := current.verdicts[key]; !twice {
			current.verdicts[key] = verdict.Verdict{} // until it is known
			missing = append(missing, key)
			current.compile(key.versionKey, crd)
		}
	}
	if err := current.judge(ctx, missing, judged, keys); err != nil {
		return err
	}
	*old = current
	for i, m := range judged {
		a.tell(m, current.verdicts[keys[i]])
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

// judge fills in the missing verdicts, side by side.
func (c *customs) judge(ctx context.Context, missing []verdictKey, judged []*manifest, keys []verdictKey) error {
	texts := make(map[verdictKey][]byte, len(judged))
	for i, m := range judged {
		texts[keys[i]] = m.object.JSON
	}
	verdicts := make([]verdict.Verdict, len(missing))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, key := range missing {
		version := c.versions[key.versionKey]
		if version.Version == nil {
			continue
		}
		group.Go(func() error {
			verdicts[i] = version.Create(ctx, texts[key])
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, key := range missing {
		c.verdicts[key] = verdicts[i]
	}
	return nil
}

// tell reports a verdict, without what decoding the metadata has said already.
func (a *assembly) tell(m *manifest, v verdict.Verdict) {
	for _, cause := range v.Causes {
		if !slices.ContainsFunc(m.problems, func(p Problem) bool { return p.Field == cause.Field && p.Reason == cause.Reason }) {
			a.problem(m, cause.Field, Problem{Reason: cause.Reason, Severity: Error, Message: cause.Message})
		}
	}
	for _, warning := range v.Warnings {
		field, message := splitWarning(warning)
		a.problem(m, field, Problem{Reason: ReasonWarning, Severity: Warning, Message: message})
	}
}
