package verdict

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Causes turns errors that the server's own code found in a custom resource into causes, without values that could be secret.
func Causes(errs field.ErrorList) []Cause { return causes(errs) }

// Mask removes a value that must not be shown from a text that may repeat it.
func Mask(text, value string) string { return mask(text, value) }

// Nearest returns the candidate that a name was most likely meant to be: one that differs by case or by up to two letters, and by no
// more than a third of the name; or "". Of equally near ones it is the first in the alphabet.
func Nearest(name string, candidates []string) string {
	const longest = 253 // of a Kubernetes name: the work grows with the product of both lengths
	if len(name) > longest {
		return ""
	}
	best, distance := "", 3
	for _, candidate := range candidates {
		if len(candidate)-len(name) > 2 || len(name)-len(candidate) > 2 {
			continue
		}
		d := edits(strings.ToLower(name), strings.ToLower(candidate))
		if d*3 <= len(name) && (d < distance || d == distance && best != "" && candidate < best) {
			best, distance = candidate, d
		}
	}
	return best
}
