package manifests

import "slices"

// Refuse returns the set without the objects that problems are about, and with the problems. It is for rules that only the caller knows.
func (s *Set) Refuse(problems []Problem) *Set {
	if len(problems) == 0 {
		return s
	}
	refused := make(map[ID]bool, len(problems))
	for _, p := range problems {
		refused[p.Object] = true
	}
	rest := *s
	rest.Objects = slices.DeleteFunc(slices.Clone(s.Objects), func(o *Object) bool { return refused[o.ID] })
	rest.Problems = sortProblems(append(slices.Clone(s.Problems), problems...))
	return &rest
}
