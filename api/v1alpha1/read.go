package v1alpha1

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// MinInterval is the shortest time between two looks at a repository.
const MinInterval = 100 * time.Millisecond

// Read decodes one Sync document strictly, fills in the defaults and checks it. Its errors name the field and the way out.
func Read(document []byte) (*Sync, error) {
	var sync Sync
	if err := yaml.UnmarshalStrict(document, &sync); err != nil {
		return nil, fmt.Errorf("not a Sync document: %w", err)
	}
	if sync.APIVersion != GroupVersion.String() || sync.Kind != SyncKind {
		return nil, fmt.Errorf("want apiVersion %s and kind %s, found apiVersion %q and kind %q",
			GroupVersion, SyncKind, sync.APIVersion, sync.Kind)
	}
	if sync.Namespace == "" {
		sync.Namespace = metav1.NamespaceDefault
	}
	sync.Spec.Default()
	if err := sync.Validate(); err != nil {
		return nil, err
	}
	return &sync, nil
}

// Default fills in what the spec leaves out. It does what the CRD's defaults do on the server.
func (s *SyncSpec) Default() {
	if s.Interval.Duration == 0 {
		s.Interval.Duration = time.Minute
	}
	if s.Timeout.Duration == 0 {
		s.Timeout.Duration = 10 * time.Minute
	}
	if s.Prune == nil {
		prune := true
		s.Prune = &prune
	}
	if s.MaxPrune == "" {
		s.MaxPrune = "50%"
	}
	if s.Drift == "" {
		s.Drift = DriftCorrect
	}
	if s.Invalid == "" {
		s.Invalid = InvalidRejectCommit
	}
}

var (
	maxPrunePattern = regexp.MustCompile(`^([0-9]+|(100|[0-9]{1,2})%)$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Validate returns every rule that a defaulted Sync breaks, joined. It says what the CRD's rules say on the server.
func (s *Sync) Validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	for _, message := range validation.IsDNS1123Subdomain(s.Name) {
		wrong("metadata.name", "%s", message)
	}
	for _, message := range validation.IsDNS1123Label(s.Namespace) {
		wrong("metadata.namespace", "%s", message)
	}
	spec := s.Spec
	if spec.Git.URL == "" {
		wrong("spec.git.url", "required: the repository's address, such as https://git.example.com/team/repo.git")
	}
	if set := spec.Git.Ref.count(); set > 1 {
		wrong("spec.git.ref", "names %d refs: keep one of branch, tag, commit and name", set)
	}
	if c := spec.Git.Ref.Commit; c != "" && !commitPattern.MatchString(c) {
		wrong("spec.git.ref.commit", "must be a full commit ID of 40 lower-case hexadecimal digits")
	}
	if spec.Interval.Duration < MinInterval {
		wrong("spec.interval", "must be at least %s", MinInterval)
	}
	if spec.Timeout.Duration < time.Second {
		wrong("spec.timeout", "must be at least 1s")
	}
	if !maxPrunePattern.MatchString(spec.MaxPrune) {
		wrong("spec.maxPrune", "must be a count, such as \"20\", or a percentage, such as \"50%%\"")
	}
	if spec.Drift != DriftCorrect && spec.Drift != DriftReport {
		wrong("spec.drift", "must be %s or %s", DriftCorrect, DriftReport)
	}
	if spec.Invalid != InvalidRejectCommit && spec.Invalid != InvalidSkipObject {
		wrong("spec.invalid", "must be %s or %s", InvalidRejectCommit, InvalidSkipObject)
	}
	return errors.Join(errs...)
}

func (r GitRef) count() int {
	set := 0
	for _, field := range []string{r.Branch, r.Tag, r.Commit, r.Name} {
		if field != "" {
			set++
		}
	}
	return set
}

// PruneLimit returns how many of total objects one commit may delete under spec.maxPrune.
// A percentage is rounded down, but never to less than one object.
func (s *SyncSpec) PruneLimit(total int) int {
	text, percentage := strings.CutSuffix(s.MaxPrune, "%")
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0 // Validate refuses it; should it come here all the same, nothing is deleted
	case percentage && n > 0:
		return max(1, total*n/100)
	}
	return n
}
