package v1alpha1

import (
	"bufio"
	"bytes"
	gojson "encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// MinInterval is the shortest time between two looks at a repository.
const MinInterval = 100 * time.Millisecond

// Read decodes a file of one Sync document strictly, fills in the defaults and checks it. Its errors name the field and the way out.
func Read(file []byte) (*Sync, error) {
	document, err := only(file)
	if err != nil {
		return nil, err
	}
	sync, err := decode(document)
	if err != nil {
		return nil, err
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
	return sync, nil
}

// decode reads a document strictly. It goes by way of JSON, as kubectl does: decoding YAML into the struct would take the number 5 for
// the text "5", which the server refuses.
func decode(document []byte) (*Sync, error) {
	content, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("not a Sync document: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	if err := checkDurations(content); err != nil {
		return nil, err
	}
	var sync Sync
	unknown, err := json.UnmarshalStrict(content, &sync)
	if wrong := (*gojson.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		kind := wrong.Type.Kind().String()
		if kind == "struct" {
			kind = "object"
		}
		err = fmt.Errorf("%s: must be of type %s, not %s", wrong.Field, kind, wrong.Value)
	}
	if err := errors.Join(append(unknown, err)...); err != nil {
		return nil, fmt.Errorf("not a Sync document: %w", err)
	}
	return &sync, nil
}

// checkDurations names the field of a duration that cannot be read, which the decoder's own error does not.
func checkDurations(content []byte) error {
	var durations struct {
		Spec struct {
			Interval any `json:"interval"`
			Timeout  any `json:"timeout"`
		} `json:"spec"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(content, &durations); err != nil {
		return nil // of another shape altogether: the decoder tells
	}
	var errs []error
	check := func(field string, value any) {
		text, isText := value.(string)
		if _, err := time.ParseDuration(text); value != nil && (!isText || err != nil) {
			errs = append(errs, fmt.Errorf("%s: %#v is not a duration: write it as 30s, 5m or 1h30m", field, value))
		}
	}
	check("spec.interval", durations.Spec.Interval)
	check("spec.timeout", durations.Spec.Timeout)
	return errors.Join(errs...)
}

// only returns the one document of a file; empty ones do not count.
func only(file []byte) ([]byte, error) {
	var found []byte
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(file)))
	for {
		document, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, fmt.Errorf("not a Sync document: %w", err)
		}
		var content any
		if err := yaml.Unmarshal(document, &content); err == nil && content == nil {
			continue
		}
		if found != nil {
			return nil, errors.New("it holds more than one document: keep one Sync in a file and run Kilter once for each")
		}
		found = document
	}
}

// Default fills in what the spec leaves out. It does what the CRD's defaults do on the server.
func (s *SyncSpec) Default() {
	if s.Interval.Duration == 0 {
		s.Interval.Duration = time.Minute
	}
	if s.Timeout.Duration == 0 {
		s.Timeout.Duration = 10 * time.Minute
	}
	if s.Git.Verify != nil && s.Git.Verify.Mode == "" {
		s.Git.Verify.Mode = "head"
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

// Validate returns every rule that a defaulted Sync breaks, joined. It says what the CRD's rules, and those for the names of
// objects, say on the server.
func (s *Sync) Validate() error {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
	}
	name := func(field, value string, rule func(string) []string) {
		for _, message := range rule(value) {
			wrong(field, "%s", message)
		}
	}
	if s.Name == "" {
		wrong("metadata.name", "required")
	} else {
		name("metadata.name", s.Name, validation.IsDNS1123Subdomain)
	}
	name("metadata.namespace", s.Namespace, validation.IsDNS1123Label)
	spec := s.Spec
	if spec.Git.URL == "" {
		wrong("spec.git.url", "required: the repository's address, such as https://git.example.com/team/repo.git")
	}
	if utf8.RuneCountInString(spec.Git.URL) > 2048 {
		wrong("spec.git.url", "must be no longer than 2048 characters")
	}
	if v := spec.Git.Verify; v != nil {
		if !slices.Contains([]string{"head", "tag", "tagAndHead"}, v.Mode) {
			wrong("spec.git.verify.mode", "must be head, tag or tagAndHead")
		}
		if v.SecretRef.Name == "" {
			wrong("spec.git.verify.secretRef.name", "required: the Secret that holds the public keys")
		}
	}
	if spec.ServiceAccountName != "" {
		name("spec.serviceAccountName", spec.ServiceAccountName, validation.IsDNS1123Subdomain)
	}
	if spec.TargetNamespace != "" {
		name("spec.targetNamespace", spec.TargetNamespace, validation.IsDNS1123Label)
	}
	if spec.Git.SecretRef != nil && spec.Git.SecretRef.Name == "" {
		wrong("spec.git.secretRef.name", "required: the Secret that holds the credentials")
	}
	if spec.Git.ProxySecretRef != nil && spec.Git.ProxySecretRef.Name == "" {
		wrong("spec.git.proxySecretRef.name", "required: the Secret that holds the proxy's address")
	}
	if spec.Git.Webhook != nil && spec.Git.Webhook.SecretRef.Name == "" {
		wrong("spec.git.webhook.secretRef.name", "required: the Secret that holds what the forge signs with")
	}
	if set := spec.Git.Ref.count(); set > 1 {
		wrong("spec.git.ref", "names %d refs: keep one of branch, tag, semver, commit and name", set)
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
	for _, field := range []string{r.Branch, r.Tag, r.SemVer, r.Commit, r.Name} {
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
	case err != nil || n < 0:
		return 0 // Validate refuses it; should it come here all the same, nothing is deleted
	case percentage && n > 0:
		return max(1, total*n/100)
	}
	return n
}
