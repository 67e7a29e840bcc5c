package report

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kilter.dev/kilter/manifests"
)

// reasons says what each reason means: the descriptions of SARIF's rules, and headings in docs/validate.md.
var reasons = map[string]string{
	string(metav1.CauseTypeFieldValueInvalid):      "A field's value is not one that the API server takes.",
	string(metav1.CauseTypeFieldValueRequired):     "A field that has to be there is missing or empty.",
	string(metav1.CauseTypeFieldValueDuplicate):    "The same thing is given twice: a list's entry, or a whole object.",
	string(metav1.CauseTypeFieldValueNotFound):     "A field names something that does not exist.",
	string(metav1.CauseTypeFieldValueNotSupported): "A field's value is none of those that the API server knows.",
	string(metav1.CauseTypeForbidden):              "A field must not be set here.",
	string(metav1.CauseTypeTooLong):                "A field's value is too long.",
	string(metav1.CauseTypeTooMany):                "A list has too many entries.",
	string(metav1.CauseTypeTypeInvalid):            "A field's value is of another type: a number where text is wanted, say.",
	string(metav1.CauseTypeInternal):               "The API server's own rules failed on this object.",

	manifests.ReasonField:       "The kind has no such field; often it is misspelt or indented wrongly.",
	manifests.ReasonSyntax:      "The file is neither YAML nor JSON.",
	manifests.ReasonUnknown:     "No API serves this apiVersion and kind, or none does any more.",
	manifests.ReasonLimit:       "A file, a document or the whole tree is larger than the limits allow.",
	manifests.ReasonCycle:       "Objects wait for one another in a circle.",
	manifests.ReasonNoTarget:    "An object depends on one that is not in the tree.",
	manifests.ReasonNoReference: "An object refers to one that is not in the tree: it has to be in the cluster already.",
	manifests.ReasonNoKey:       "A pod wants a key that its ConfigMap or Secret in the tree does not have.",
	manifests.ReasonNoEffect:    "An annotation does nothing here, or not what its author thinks.",
	manifests.ReasonBuild:       "A kustomization cannot be built.",
	manifests.ReasonLint:        "The API server takes it, and its author will regret it: the rule has a page of its own in docs/lint.",
	manifests.ReasonEmpty:       "There is no object to look at.",
	manifests.ReasonMore:        "So many problems are not listed: mend those that are first.",
	manifests.ReasonUnsupported: "Legal elsewhere, and refused here because it cannot be kept as Git says.",
	manifests.ReasonWarning:     "The API server takes it, and it may not do what its author thinks.",
}
