package manifests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests/verdict"
)

// ours is the domain of Kilter's own annotations.
const ours = "kilter.dev/"

// honoured lists the annotations that Kilter reads from an object in Git, with the values that have an effect or say that there is to be
// none. Whoever teaches Kilter another one adds it here, or authors are told that it is unknown.
var honoured = map[string]struct {
	values []string // nil: any
	kinds  []string // nil: every kind
}{
	ours + "allow-prune":                      {kinds: []string{"Sync"}},
	ours + "lint-ignore":                      {},
	ours + "node-grace":                       {kinds: []string{"DaemonSet"}},
	ours + "prune":                            {values: []string{"disabled", "enabled"}},
	ours + "recreate":                         {values: []string{"allowed"}},
	annotationHistory:                         {kinds: []string{"Job"}},
	annotationReplace:                         {kinds: []string{"Job"}},
	annotationRerunOn:                         {kinds: []string{"Job"}},
	RunAnnotation:                             {kinds: []string{"Job"}},
	ours + "requestedAt":                      {kinds: []string{"Sync"}},
	annotationDependsOn:                       {},
	annotationLocalConfig:                     {values: []string{"true", "false"}},
	annotationMutation:                        {values: []string{"ignore"}},
	"client.lifecycle.config.k8s.io/deletion": {values: []string{"detach"}},
	"cli-utils.sigs.k8s.io/on-remove":         {values: []string{"keep"}},
}

// cascades are the kinds for which kilter.dev/prune has a third value.
var cascades = []string{"/Namespace", apiextensionsv1.GroupName + "/CustomResourceDefinition"}

const (
	order = "to apply it after others, name them in " + annotationDependsOn
	keep  = "to keep it when it leaves Git, write " + ours + "prune: disabled"
	hook  = "a Job runs when it is applied and when it changes, or as its annotation " + RunAnnotation + " says; " + order
	kept  = "a Job that runs again replaces the one before, and stays as long as its ttlSecondsAfterFinished says"
	force = "to let it be deleted and created again when an immutable field changes, write " + ours + "recreate: allowed"
)

// foreign lists other tools' annotations that have no effect here, with what to do instead.
var foreign = map[string]string{
	"argocd.argoproj.io/compare-options":    "fields that the manifest leaves out belong to whoever sets them, and are not compared",
	"argocd.argoproj.io/hook":               hook,
	"argocd.argoproj.io/hook-delete-policy": kept,
	"argocd.argoproj.io/sync-options":       "objects are always applied on the server's side; " + keep,
	"argocd.argoproj.io/sync-wave":          order,

	"kustomize.toolkit.fluxcd.io/force":     force,
	"kustomize.toolkit.fluxcd.io/prune":     keep,
	"kustomize.toolkit.fluxcd.io/reconcile": "it is kept as Git says; to leave it out, write " + annotationLocalConfig + `: "true"`,
	"kustomize.toolkit.fluxcd.io/ssa":       "fields that the manifest leaves out belong to whoever sets them; to only create it, write " + annotationMutation + ": ignore",

	"kapp.k14s.io/change-group":    order,
	"kapp.k14s.io/change-rule":     order,
	"kapp.k14s.io/update-strategy": force,

	"helm.sh/hook":               hook,
	"helm.sh/hook-delete-policy": kept,
	"helm.sh/hook-weight":        order,
	"helm.sh/resource-policy":    keep,
}

// keeps are those of foreign whose value asks to keep an object that leaves Git. A kind of cascades is kept anyway: there they say what is so.
var keeps = map[string]string{
	"argocd.argoproj.io/sync-options":   "Prune=false",
	"kustomize.toolkit.fluxcd.io/prune": "disabled",
	"helm.sh/resource-policy":           "keep",
}

// written are the annotations that Kilter writes on objects.
var written = []string{ours + "applied", ours + "identity", ours + "job-run"}

// exceptional are those by which kilter suspend makes an exception of a live object.
var exceptional = []string{ours + "suspended-until", ours + "suspended-reason", ours + "suspended-by"}

// annotations reads the annotations that mean something to Kilter, and warns of those that do not mean what their author thinks.
func (d *decoder) annotations(m *manifest, node *yaml.Node, doc int) {
	annotations := lookup(node, "metadata", "annotations")
	if annotations == nil || annotations.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(annotations.Content); i += 2 {
		key, value := annotations.Content[i], annotations.Content[i+1]
		tell := func(severity Severity, reason, message string) {
			if len(m.problems) < maxProblems {
				m.problems = append(m.problems, Problem{
					Origin: d.origin(doc, key), Object: m.object.ID, Field: "metadata.annotations[" + key.Value + "]",
					Reason: reason, Severity: severity, Message: message,
				})
			}
		}
		wrong := func(message string) { tell(Error, string(metav1.CauseTypeFieldValueInvalid), message) }
		if key.Value == annotationDependsOn {
			m.dependencies(value.Value, wrong)
			continue
		}
		if message := noEffect(m.object.ID, key.Value, value.Value); message != "" {
			tell(Warning, ReasonNoEffect, message)
		} else if check := strict[key.Value]; check != nil {
			if message := check(value.Value); message != "" {
				wrong(message)
			}
		}
	}
}

// noEffect says why an annotation does not do what its author may think, or nothing. The values of annotations are not repeated: they are
// anybody's.
func noEffect(id ID, key, value string) string {
	if instead, ok := foreign[key]; ok {
		if keeps[key] == value && value != "" && slices.Contains(cascades, id.Group+"/"+id.Kind) {
			return ""
		}
		return "has no effect here: " + instead
	}
	known, ok := honoured[key]
	switch {
	case slices.Contains(written, key):
		return "has no effect: Kilter writes it itself: remove it"
	case slices.Contains(exceptional, key):
		return "has no effect: an exception is made by kilter suspend, in the cluster: write spec.suspend: true"
	case !ok && strings.HasPrefix(key, ours):
		return unknownAnnotation(key)
	case !ok:
		return ""
	case known.kinds != nil && !slices.Contains(known.kinds, id.Kind):
		return "has no effect on a " + id.Kind + ": it is for a " + strings.Join(known.kinds, " or ")
	}
	if key == ours+"node-grace" {
		if _, err := time.ParseDuration(value); err != nil {
			return "the value has no effect: write a duration, such as 5m"
		}
	}
	values := known.values
	if key == ours+"prune" {
		if slices.Contains(cascades, id.Group+"/"+id.Kind) {
			values = append(slices.Clone(values), "cascade")
		} else if value == "cascade" {
			return "cascade has no effect on a " + id.Kind + ": it is for a Namespace or a CustomResourceDefinition"
		}
	}
	if values == nil || slices.Contains(values, value) {
		return ""
	}
	return "the value has no effect: " + notOneOf(value, values)
}

// notOneOf says which value is meant, or which there are.
func notOneOf(value string, values []string) string {
	if near := verdict.Nearest(value, values); near != "" {
		return "did you mean " + near + "?"
	}
	return "write " + strings.Join(values, " or ")
}

func unknownAnnotation(key string) string {
	names := slices.Sorted(maps.Keys(honoured))
	if near := verdict.Nearest(key, names); near != "" {
		return fmt.Sprintf("has no effect: Kilter knows no such annotation; did you mean %s?", near)
	}
	return "has no effect: Kilter knows no such annotation"
}
