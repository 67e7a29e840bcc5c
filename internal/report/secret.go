package report

import (
	"regexp"
	"strings"

	"kilter.dev/kilter/manifests"
)

// lines finds the lines that may be shown. What may not is decided by the file, the field and the line, each alone enough to
// refuse:
//
//	the file   describes a Secret, or has kustomize make one: nothing of it is shown
//	the field  is below one that messages show no string of either: annotations, args, command, data, env, stringData
//	the line   holds such a field beside the one in question, as flow style allows
//
// The zero value shows nothing.
type lines struct {
	read func(file string) ([]byte, error)

	file string // whose content was split last; problems come sorted by file
	text []string
}

var (
	secretFile  = regexp.MustCompile(`(?m)(kind["']?[ \t]*:[ \t]*["']?Secret(List)?\b|secretGenerator)`)
	secretField = regexp.MustCompile(`(^|\.)(annotations|args|command|data|env|stringData)(\[|\.|$)`)
	secretLine  = regexp.MustCompile(`\b(annotations|args|command|data|env|stringData|value)["']?[ \t]*:[ \t]*[^ \t\r]`)
)

// of returns the line that a problem is in, without its end, and whether it may be shown.
func (l *lines) of(p manifests.Problem) (line string, ok bool) {
	if l.read == nil || p.Origin.Line == 0 || p.Object.Kind == "Secret" || secretField.MatchString(p.Field) {
		return "", false
	}
	if l.file != p.Origin.File {
		l.file, l.text = p.Origin.File, nil
		if data, err := l.read(l.file); err == nil && !secretFile.Match(data) {
			l.text = strings.Split(strings.TrimPrefix(string(data), "\ufeff"), "\n")
		}
	}
	if p.Origin.Line > len(l.text) {
		return "", false
	}
	line = strings.TrimSuffix(l.text[p.Origin.Line-1], "\r")
	return line, !secretLine.MatchString(line)
}
