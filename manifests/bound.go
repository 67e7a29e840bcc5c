package manifests

import (
	"fmt"
	"slices"

	"kilter.dev/kilter/internal/phrase"
)

// A tree of ten thousand objects has room for a million problems, and a Problem takes some hundreds of bytes. So a tree's problems are bounded
// three times, and which ones are kept depends on nothing but the tree:
//
//	an object        100 of them (manifest.report)
//	a file           ends with the object after which it has more than maxListed errors, and keeps as many warnings
//	all files        end with the one, in the order of names, after which they have more than maxListed errors; files are decoded few at a time,
//	                 so that not much more is read than is kept
//	the Set          lists maxListed errors and maxListed warnings, and says how many more were found
const (
	maxProblems = 100
	maxListed   = 1000
	maxKept     = 10 * maxListed // before they are sorted
	atATime     = 64             // files that are decoded before their problems are counted
)

// tally counts problems by severity.
type tally struct{ errors, warnings int }

func (t *tally) count(problems []Problem) {
	for i := range problems {
		if problems[i].Severity == Error {
			t.errors++
		} else {
			t.warnings++
		}
	}
}

func (t *tally) add(other tally) {
	t.errors += other.errors
	t.warnings += other.warnings
}

// count takes the problems of an object into the file's tally, and drops its warnings once the file has enough of them.
func (f *parsed) count(m *manifest) {
	f.tally.count(m.problems)
	if f.tally.warnings > maxListed {
		f.unlisted += m.dropWarnings()
	}
}

// within takes the tally of a file, once those before it are taken, and reports whether the next file may be read. A file whose warnings nobody
// will see loses them, and what is remembered of it is good for this tree only.
func (t *tally) within(m *memo) bool {
	if t.warnings > maxListed && m.file.tally.warnings > 0 {
		for _, item := range m.file.items {
			m.file.unlisted += item.dropWarnings()
		}
		m.only, m.file.cut = nil, true
	}
	t.add(m.file.tally)
	return t.errors <= maxListed
}

func (m *manifest) dropWarnings() (dropped int) {
	before := len(m.problems)
	rest := slices.DeleteFunc(m.problems, func(p Problem) bool { return p.Severity == Warning })
	m.problems = slices.Clone(rest) // so that the room of the others is free
	return before - len(rest)
}

// Why an object is none of the Set's.
const (
	byRules   = 1 << iota // the API server's rules refuse it
	otherwise             // anything else is wrong with it
)

// take adds a problem to those that are listed, and reports whether there was room. Those that nobody will read are counted.
func (a *assembly) take(p Problem) bool {
	switch {
	case p.Severity == Error && p.ByRules:
		a.wrong[p.Object] |= byRules
	case p.Severity == Error:
		a.wrong[p.Object] |= otherwise
	}
	a.found.count([]Problem{p})
	if p.Severity == Error && a.found.errors > maxKept || p.Severity == Warning && a.found.warnings > maxKept {
		return false
	}
	a.problems = append(a.problems, p)
	return true
}

// stop adds a problem that says why nothing is read after it: it is always listed.
func (a *assembly) stop(p Problem) {
	a.wrong[p.Object] |= otherwise
	a.ended = append(a.ended, p)
}

// listed returns the problems in their order, and after those of each severity how many more there are.
func (a *assembly) listed() []Problem {
	problems := sortProblems(a.problems)
	errors := slices.IndexFunc(problems, func(p Problem) bool { return p.Severity == Warning })
	if errors < 0 {
		errors = len(problems)
	}
	first := append(make([]Problem, 0, min(len(problems), 2*maxListed)+4), problems[:min(errors, maxListed)]...)
	first = append(first, more(Error, a.found.errors-maxListed)...)
	first = append(first, a.ended...)
	first = append(first, problems[errors:min(len(problems), errors+maxListed)]...)
	return sortProblems(append(first, more(Warning, max(0, a.found.warnings-maxListed)+a.unlisted)...))
}

// more says how many problems are not listed; nothing where all are.
func more(severity Severity, n int) []Problem {
	if n <= 0 {
		return nil
	}
	return []Problem{{
		Reason: ReasonMore, Severity: severity, Message: fmt.Sprintf("not listed: %s; mend those that are", phrase.Count(n, "more "+string(severity))),
	}}
}

// unread is the problem of the first of some files that are not read, for all the errors in those before it.
func unread(file, what string, files int) Problem {
	return Problem{
		Origin: Origin{File: file}, Reason: ReasonLimit, Severity: Error,
		Message: fmt.Sprintf("not read, nor %s after it: there are more than %d errors already; mend those first",
			phrase.Count(files-1, what), maxListed),
	}
}

// last is 1 for what says how many more there are, which comes after them.
func (p Problem) last() int {
	if p.Reason == ReasonMore {
		return 1
	}
	return 0
}
