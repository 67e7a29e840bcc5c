// Package lint finds what the API server accepts and its author will regret: a schedule that never fires, a Job that retries
// what must not be done twice, a budget that stops every node drain. Each remark is a warning with the ID of a Rule, which has
// a page in docs/lint with the reason and the way out.
//
// A rule says only what follows from the manifests and from how the controllers of Kubernetes 1.37 act; its page names the
// numbers. What is a matter of taste, or usually meant, is no rule.
//
// Check looks at one object, Tree at what only shows beside others; both take objects as they were written, without defaults.
// An object's own kilter.dev/lint-ignore annotation silences rules. The package is pure: it reads no clock and no file, and
// asks no cluster.
package lint

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"kilter.dev/kilter/manifests/schedule"
)

// IgnoreAnnotation lists the IDs of rules that must not speak about the object, separated by commas.
const IgnoreAnnotation = "kilter.dev/lint-ignore"

// Options are what a verdict depends on beside the object.
type Options struct {
	// Now is the moment from which schedules are looked at. Findings speak of the year after it.
	Now time.Time
}

// Finding is one remark on an object.
type Finding struct {
	Rule    string // its ID
	Field   string // the API server's field path, such as "spec.schedule"
	Message string // the consequence and the way out, in one line
}

// Rule is one thing to look for.
type Rule struct {
	ID      string   // stable: people write it into annotations. Its page is docs/lint/<ID>.md
	Summary string   // one line for tables
	Kinds   []string // the kinds it speaks about

	object func(*subject) // for rules that need one object
	tree   func(*forest)  // for rules that need its neighbours
}

// Page returns the path of the rule's page in the repository.
func (r Rule) Page() string { return "docs/lint/" + r.ID + ".md" }

// Rules returns all rules, sorted by ID.
func Rules() []Rule { return slices.Clone(rules) }

// Check returns what the rules say about one object, in the order of Rules, without what it ignores. Objects of unknown kinds
// are fine.
func Check(object runtime.Object, o Options) []Finding {
	s := newSubject(object, o)
	if s == nil {
		return nil
	}
	for _, rule := range rules {
		if rule.object != nil && slices.Contains(rule.Kinds, s.kind) && !s.ignored(rule.ID) {
			s.rule = rule.ID
			rule.object(s)
		}
	}
	s.unknownIgnores()
	return s.findings
}

// subject is one object under inspection, with the parts that rules ask for; those that its kind does not have are nil.
type subject struct {
	Options
	kind    string
	meta    *metav1.ObjectMeta
	ignores []string

	cron      *batchv1.CronJob
	schedule  *schedule.Schedule // of cron
	job       *batchv1.JobSpec
	jobPath   string
	daemonSet *appsv1.DaemonSetSpec
	stateful  *appsv1.StatefulSetSpec
	budget    *policyv1.PodDisruptionBudgetSpec
	template  *corev1.PodTemplateSpec
	podPath   string // of the pods' spec

	rule     string // that is looking
	findings []Finding
}

// templateSpec is where most kinds keep the spec of their pods.
const templateSpec = "spec.template.spec"

// newSubject takes an object apart, or returns nil when no rule knows its kind.
func newSubject(object runtime.Object, o Options) *subject {
	s := &subject{Options: o}
	switch x := object.(type) {
	case *batchv1.CronJob:
		s.kind, s.meta, s.cron = "CronJob", &x.ObjectMeta, x
		s.job, s.jobPath = &x.Spec.JobTemplate.Spec, "spec.jobTemplate.spec"
		s.template, s.podPath = &s.job.Template, s.jobPath+".template.spec"
		timeZone := ""
		if x.Spec.TimeZone != nil {
			timeZone = *x.Spec.TimeZone
		}
		s.schedule, _ = schedule.Parse(x.Spec.Schedule, timeZone) // what does not parse is the verdict's to say
	case *batchv1.Job:
		s.kind, s.meta, s.job, s.jobPath = "Job", &x.ObjectMeta, &x.Spec, "spec"
		s.template, s.podPath = &x.Spec.Template, templateSpec
	case *appsv1.DaemonSet:
		s.kind, s.meta, s.daemonSet = "DaemonSet", &x.ObjectMeta, &x.Spec
		s.template, s.podPath = &x.Spec.Template, templateSpec
	case *appsv1.Deployment:
		s.kind, s.meta, s.template, s.podPath = "Deployment", &x.ObjectMeta, &x.Spec.Template, templateSpec
	case *appsv1.StatefulSet:
		s.kind, s.meta, s.stateful = "StatefulSet", &x.ObjectMeta, &x.Spec
		s.template, s.podPath = &x.Spec.Template, templateSpec
	case *appsv1.ReplicaSet:
		s.kind, s.meta, s.template, s.podPath = "ReplicaSet", &x.ObjectMeta, &x.Spec.Template, templateSpec
	case *corev1.Pod:
		s.kind, s.meta, s.podPath = "Pod", &x.ObjectMeta, "spec"
		s.template = &corev1.PodTemplateSpec{ObjectMeta: x.ObjectMeta, Spec: x.Spec}
	case *policyv1.PodDisruptionBudget:
		s.kind, s.meta, s.budget = "PodDisruptionBudget", &x.ObjectMeta, &x.Spec
	case *corev1.Service:
		s.kind, s.meta = "Service", &x.ObjectMeta
	case *corev1.PersistentVolumeClaim:
		s.kind, s.meta = "PersistentVolumeClaim", &x.ObjectMeta
	case *autoscalingv1.HorizontalPodAutoscaler:
		s.kind, s.meta = "HorizontalPodAutoscaler", &x.ObjectMeta
	case *autoscalingv2.HorizontalPodAutoscaler:
		s.kind, s.meta = "HorizontalPodAutoscaler", &x.ObjectMeta
	default:
		return nil
	}
	s.ignores = ignores(s.meta)
	return s
}

// report adds a finding of the rule that is looking.
func (s *subject) report(field, format string, args ...any) {
	s.findings = append(s.findings, Finding{Rule: s.rule, Field: field, Message: fmt.Sprintf(format, args...)})
}

func (s *subject) ignored(rule string) bool { return slices.Contains(s.ignores, rule) }

// containers calls yield with each container of the pods, those that only prepare them included, and its field path.
func (s *subject) containers(yield func(path string, c *corev1.Container)) {
	for i := range s.template.Spec.InitContainers {
		yield(fmt.Sprintf("%s.initContainers[%d]", s.podPath, i), &s.template.Spec.InitContainers[i])
	}
	for i := range s.template.Spec.Containers {
		yield(fmt.Sprintf("%s.containers[%d]", s.podPath, i), &s.template.Spec.Containers[i])
	}
}
