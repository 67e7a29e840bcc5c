package manifests

import (
	"fmt"
	"slices"

	"kilter.dev/kilter/manifests/verdict"
)

// Ruling is what an API server says of an object that the linked rules refuse.
type Ruling struct {
	Accepted bool
	By       string // who spoke, such as "the server, Kubernetes 1.36.4,"
}

// Overrule returns the Set as it is once a server of another version than the linked rules has been asked about some of its Refused
// objects. Those that it accepts become Objects, and what the linked rules say of them warnings; the Problems of the others tell that it
// refuses them as well. Every such Problem names who spoke.
func (s *Set) Overrule(rulings map[ID]Ruling) *Set {
	ruled := *s
	ruled.Refused = nil
	ruled.Objects = slices.Clone(s.Objects)
	for _, o := range s.Refused {
		if rulings[o.ID].Accepted {
			ruled.Objects = append(ruled.Objects, o)
		} else {
			ruled.Refused = append(ruled.Refused, o)
		}
	}
	slices.SortFunc(ruled.Objects, func(a, b *Object) int { return a.ID.Compare(b.ID) })
	ruled.Problems = slices.Clone(s.Problems)
	for i, p := range ruled.Problems {
		if ruling, asked := rulings[p.Object]; asked && p.Severity == Error {
			ruled.Problems[i] = p.ruled(ruling)
		}
	}
	ruled.Problems = sortProblems(ruled.Problems)
	return &ruled
}

func (p Problem) ruled(r Ruling) Problem {
	verb := "refuses"
	if r.Accepted {
		p.Severity, verb = Warning, "accepts"
	}
	p.Message = fmt.Sprintf("%s (by the rules of Kubernetes %s; %s %s it)", p.Message, verdict.Version(), r.By, verb)
	return p
}
