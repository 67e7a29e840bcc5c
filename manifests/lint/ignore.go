package lint

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	ignoreField   = "metadata.annotations[" + IgnoreAnnotation + "]"
	unknownIgnore = "unknown-ignore"
)

// ignores returns the rules that the object's annotation silences.
func ignores(meta *metav1.ObjectMeta) []string {
	text := meta.Annotations[IgnoreAnnotation]
	if text == "" {
		return nil
	}
	ids := strings.Split(text, ",")
	for i := range ids {
		ids[i] = strings.TrimSpace(ids[i])
	}
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// unknownIgnores speaks for the rule unknown-ignore, which needs the list of rules and so cannot stand in it with its check.
//
// An ignore that silences nothing is no finding: some rules look at the tree or at the coming year, and one base serves several
// overlays, so the same annotation is of use here and of none there.
func (s *subject) unknownIgnores() {
	s.rule = unknownIgnore
	for _, id := range s.ignores {
		if s.ignored(unknownIgnore) || slices.ContainsFunc(rules, func(r Rule) bool { return r.ID == id }) {
			continue
		}
		s.report(ignoreField, "there is no rule %q, so nothing is ignored: correct the name (docs/lint lists them), or remove it", id)
	}
}
