package reconcile

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/inventory"
)

// mend looks at the server's refusal of an update, and does what can be done about it.
func (w *write) mend(ctx context.Context, stored *metav1.PartialObjectMetadata, err error) error {
	if err == nil {
		return w.record(stored, nil)
	}
	refused := newFailure(err, w.loop.cluster.host)
	if fields := leftovers(w.object, refused.Causes); len(fields) > 0 {
		stored, err := w.clear(ctx, fields)
		return w.record(stored, err)
	}
	switch {
	case immutable(w.object, refused) && w.object.Run != nil && w.startedByOthers():
		return w.claim(ctx)
	case immutable(w.object, refused):
		return w.replace(ctx, refused)
	}
	return err
}

// leftovers returns the fields that the server refuses beside what Git says, and that Git does not name: a rollingUpdate that the server
// filled in once, and that must not stand beside "type: Recreate". It returns nothing when any other field was refused as well.
//
// Server-side apply removes only what the applier owns, and nobody owns a default. Fields within lists are not looked for.
func leftovers(object *manifests.Object, causes []FieldCause) []fieldpath.Path {
	var content map[string]any
	if err := json.Unmarshal(object.JSON, &content); err != nil {
		return nil
	}
	var found []fieldpath.Path
	for _, cause := range causes {
		names := strings.Split(cause.Field, ".")
		refused := cause.Reason == string(metav1.CauseTypeForbidden) || cause.Reason == string(metav1.CauseTypeFieldValueInvalid)
		parent, inGit := lookUp(content, names[:len(names)-1])
		siblings, isMap := parent.(map[string]any)
		_, named := siblings[names[len(names)-1]]
		if !refused || unchangeable.MatchString(cause.Text) || strings.ContainsAny(cause.Field, `[]"`) || len(names) < 3 || !inGit || !isMap || named {
			return nil
		}
		parts := make([]any, len(names))
		for i := range names {
			parts[i] = names[i]
		}
		found = append(found, fieldpath.MakePathOrDie(parts...))
	}
	return found
}

func lookUp(content map[string]any, names []string) (any, bool) {
	var at any = content
	for _, name := range names {
		fields, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = fields[name]; !ok {
			return nil, false
		}
	}
	return at, true
}

// clear makes leftovers ours, and applies again: what is ours and is not in Git goes, in the same step in which its neighbours change. After
// a crash between the two requests, the next apply does it.
func (w *write) clear(ctx context.Context, fields []fieldpath.Path) (*metav1.PartialObjectMetadata, error) {
	live, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.rewrite(ctx, live, inventory.Claim(w.target.gvr.GroupVersion().String(), live.ManagedFields, fields)); err != nil {
		return nil, err
	}
	return w.apply(ctx, precondition{}, false)
}

// unchangeable matches how the server says that a field must stay as it is; see ValidateImmutableField in k8s.io/apimachinery and the update
// rules of k8s.io/kubernetes/pkg/apis/*/validation. Custom resources say it in words of their own, most often these.
var unchangeable = regexp.MustCompile(`(?i)\bimmutable\b|\b(may|can) ?not (be )?(chang|updat|modif)|can't be (chang|updat|modif)|\bupdates to .+ forbidden|\bonly be modified in tandem`)

// immutable reports whether the server refuses an update of an object because fields must stay as they are, and for nothing else but
// leftovers, which a new object does not have.
func immutable(object *manifests.Object, f *Failure) bool {
	others := slices.DeleteFunc(slices.Clone(f.Causes), func(c FieldCause) bool { return unchangeable.MatchString(c.Text) })
	return len(others) < len(f.Causes) && (len(others) == 0 || len(leftovers(object, others)) > 0)
}
