package verdict

import (
	"fmt"
	"strings"

	nodev1alpha1 "k8s.io/api/node/v1alpha1"
	rbacv1alpha1 "k8s.io/api/rbac/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/endpoints/deprecation"
	"k8s.io/apiserver/pkg/util/compatibility"
	basecompatibility "k8s.io/component-base/compatibility"
)

// Version is the release whose rules are in force, such as "1.37": the linked one, unless Emulate set an older one.
func Version() string { return minor(rules().EmulationVersion()) }

// Emulate sets the rules back to those of an older minor release, such as "1.35", by Kubernetes' own emulation: its feature
// gates have that release's defaults, and API kinds and versions that were introduced later are unknown while those that were
// removed since are known. It is for the whole process, and must be called before anything else of this package.
//
// The error says which releases can be emulated: Kubernetes itself covers the three before its own.
//
// Emulation does not bring back what changed without a feature gate: a rule that was relaxed or tightened outright, or a warning.
// And fields that were added since stay known: where a server of that release answers "unknown field", here the field is passed
// over in silence while its gate is off, as by a newer server that emulates the release. So a refusal under emulation is
// almost always the real server's too; an acceptance is less certain than one without.
func Emulate(release string) error {
	effective := rules()
	want, err := version.ParseMajorMinor(strings.TrimPrefix(release, "v"))
	linked := effective.BinaryVersion()
	if err != nil {
		return fmt.Errorf("%q is not a Kubernetes release such as %s", release, minor(linked))
	}
	before := effective.EmulationVersion()
	effective.SetEmulationVersion(want)
	if len(effective.Validate()) > 0 {
		effective.SetEmulationVersion(before)
		// The floor of DefaultBuildEffectiveVersion in k8s.io/apiserver/pkg/util/compatibility, which tells it to nobody but Validate.
		return fmt.Errorf("Kubernetes %s's rules can emulate %s to %s, not %s",
			minor(linked), minor(linked.SubtractMinor(3)), minor(linked), release)
	}
	if err := compatibility.DefaultComponentGlobalsRegistry.Set(); err != nil {
		return fmt.Errorf("cannot emulate Kubernetes %s: %w", release, err)
	}
	return nil
}

// rules returns the process-wide versions that Kubernetes' code goes by.
func rules() basecompatibility.MutableEffectiveVersion {
	registered := compatibility.DefaultComponentGlobalsRegistry.EffectiveVersionFor(basecompatibility.DefaultKubeComponent)
	return registered.(basecompatibility.MutableEffectiveVersion) // as k8s.io/apiserver registers it
}

func minor(v *version.Version) string { return fmt.Sprintf("%d.%d", v.Major(), v.Minor()) }

// Removed returns the release that stopped serving a built-in API version, such as "1.22", and what replaces it if anything
// does, or false when it is still served. The source is the API's own lifecycle markers, which deleted_kinds.go in
// k8s.io/apiserver/pkg/server reads.
func Removed(gvk schema.GroupVersionKind) (release string, replacement schema.GroupVersionKind, ok bool) {
	obj, err := builtin().New(gvk)
	if err != nil {
		return "", schema.GroupVersionKind{}, false
	}
	since, ok := removed(gvk, obj)
	if !ok {
		return "", schema.GroupVersionKind{}, false
	}
	if marked, ok := obj.(interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}); ok {
		return minor(since), marked.APILifecycleReplacement(), true
	}
	for _, gv := range builtin().VersionsForGroupKind(gvk.GroupKind()) {
		if other := gv.WithKind(gvk.Kind); served(builtin(), other) {
			return minor(since), other, true
		}
	}
	return minor(since), schema.GroupVersionKind{}, true
}

// Introduced returns the release that first served a built-in API version, such as "1.36", or false when the release in force
// has it already.
func Introduced(gvk schema.GroupVersionKind) (release string, later bool) {
	obj, err := builtin().New(gvk)
	if err != nil {
		return "", false
	}
	since, later := introducedLater(obj)
	if !later {
		return "", false
	}
	return minor(since), true
}

// served reports whether the release in force serves the kind in that version.
func served(scheme *runtime.Scheme, gvk schema.GroupVersionKind) bool {
	obj, err := scheme.New(gvk)
	if err != nil {
		return false
	}
	_, gone := removed(gvk, obj)
	_, later := introducedLater(obj)
	return !gone && !later
}

// deprecated returns what the release in force warns of when an API version is used that it will stop serving, or nothing.
func deprecated(scheme *runtime.Scheme, gvk schema.GroupVersionKind) string {
	obj, err := scheme.New(gvk)
	now := rules().EmulationVersion()
	if err != nil || !deprecation.IsDeprecated(obj, int(now.Major()), int(now.Minor())) {
		return ""
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	return deprecation.WarningMessage(obj)
}

// unmarked are the API versions whose types are still there, that no server serves since a release, and that carry no marker
// (kubernetes/kubernetes#103061 and #104248).
var unmarked = map[schema.GroupVersion]*version.Version{
	{Group: nodev1alpha1.GroupName, Version: "v1alpha1"}: version.MajorMinor(1, 22),
	{Group: rbacv1alpha1.GroupName, Version: "v1alpha1"}: version.MajorMinor(1, 23),
}

// removed and introducedLater follow the methods that Kubernetes generates for its API types from their
// "+k8s:prerelease-lifecycle-gen" markers.
func removed(gvk schema.GroupVersionKind, obj runtime.Object) (*version.Version, bool) {
	since, ok := unmarked[gvk.GroupVersion()]
	if marked, has := obj.(interface{ APILifecycleRemoved() (major, minor int) }); has {
		since, ok = majorMinor(marked.APILifecycleRemoved()), true
	}
	return since, ok && !since.GreaterThan(rules().EmulationVersion())
}

func introducedLater(obj runtime.Object) (*version.Version, bool) {
	marked, ok := obj.(interface{ APILifecycleIntroduced() (major, minor int) })
	if !ok {
		return nil, false
	}
	since := majorMinor(marked.APILifecycleIntroduced())
	return since, since.GreaterThan(rules().EmulationVersion())
}

func majorMinor(major, minor int) *version.Version {
	return version.MajorMinor(uint(major), uint(minor))
}
