package reconcile

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"

	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/health"
)

// Definition says what one metric is. docs/metrics.md is made of them.
type Definition struct {
	Name   string
	Type   string // gauge, counter or histogram
	Help   string // one or more sentences
	Labels []string
}

// catalog makes metrics, registers them, and remembers what they are.
type catalog struct {
	registerer  prometheus.Registerer
	definitions []Definition
	ofSyncs     []interface{ DeletePartialMatch(prometheus.Labels) int }
	made        []family // when they are asked for
}

// family is a metric whose series are made when they are asked for.
type family struct {
	desc *prometheus.Desc
	Definition
	order []int // of the labels, by name
}

func (c *catalog) define(kind, name, help string, labels []string) {
	c.definitions = append(c.definitions, Definition{Name: name, Type: kind, Help: help, Labels: labels})
}

func (c *catalog) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	c.define("gauge", name, help, labels)
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	c.registerer.MustRegister(vec)
	c.ofSyncs = append(c.ofSyncs, vec)
	return vec
}

func (c *catalog) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c.define("counter", name, help, labels)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	c.registerer.MustRegister(vec)
	c.ofSyncs = append(c.ofSyncs, vec)
	return vec
}

// histogram has count buckets, the first up to start and each factor times the one before, and native ones for whoever scrapes those.
func (c *catalog) histogram(name, help string, start, factor float64, count int, labels ...string) *prometheus.HistogramVec {
	c.define("histogram", name, help, labels)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(start, factor, count),
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, labels)
	c.registerer.MustRegister(vec)
	c.ofSyncs = append(c.ofSyncs, vec)
	return vec
}

// described is a metric whose series are made when they are asked for.
func (c *catalog) described(name, help string, labels ...string) *prometheus.Desc {
	c.define("gauge", name, help, labels)
	desc := prometheus.NewDesc(name, help, labels, nil)
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(labels[a], labels[b]) })
	c.made = append(c.made, family{desc, c.definitions[len(c.definitions)-1], order})
	return desc
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is a time as metrics have it.
func seconds(at time.Time) float64 { return float64(at.UnixNano()) / 1e9 }

// other stands for words that are not ours to bound.
const other = "Other"

// classOf returns the class of an error of Options.Fetch, which source takes from a closed set.
func classOf(err error) string {
	if classified, ok := errors.AsType[interface {
		error
		Class() string
	}](err); ok {
		return classified.Class()
	}
	return other
}

// kindOf returns the kind of an object as a label: those of Kubernetes are a closed set, those of others are not.
func kindOf(id manifests.ID) string {
	if len(scheme.Scheme.VersionsForGroupKind(id.GroupKind())) > 0 || id.Kind == "CustomResourceDefinition" {
		return id.Kind
	}
	return "CustomResource"
}

// knownReasons are the words that troubles have for a reason: of manifests, of the API server and of objects that are unwell.
var knownReasons = []string{
	manifests.ReasonSyntax, manifests.ReasonUnknown, manifests.ReasonStructure, manifests.ReasonDuplicate, manifests.ReasonLimit,
	manifests.ReasonField, manifests.ReasonCycle, manifests.ReasonNoTarget, manifests.ReasonNoReference, manifests.ReasonNoKey,
	manifests.ReasonEmpty, manifests.ReasonMore, manifests.ReasonUnsupported, manifests.ReasonBuild,

	string(field.ErrorTypeNotFound), string(field.ErrorTypeRequired), string(field.ErrorTypeDuplicate), string(field.ErrorTypeInvalid),
	string(field.ErrorTypeNotSupported), string(field.ErrorTypeForbidden), string(field.ErrorTypeTooLong), string(field.ErrorTypeTooMany),
	string(field.ErrorTypeTypeInvalid), string(field.ErrorTypeInternal),

	string(metav1.StatusReasonUnauthorized), string(metav1.StatusReasonForbidden), string(metav1.StatusReasonNotFound),
	string(metav1.StatusReasonAlreadyExists), string(metav1.StatusReasonConflict), string(metav1.StatusReasonInvalid),
	string(metav1.StatusReasonServerTimeout), string(metav1.StatusReasonTimeout), string(metav1.StatusReasonTooManyRequests),
	string(metav1.StatusReasonBadRequest), string(metav1.StatusReasonMethodNotAllowed), string(metav1.StatusReasonInternalError),
	string(metav1.StatusReasonServiceUnavailable), string(metav1.StatusReasonRequestEntityTooLarge),
	string(OwnershipConflict), "Unreachable",

	health.ReasonDeadlineExceeded, health.ReasonReplicaFailure, health.ReasonVolumeLost, health.ReasonNamesNotAccepted,
	"BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "MaxFailedIndexesExceeded", "PodFailurePolicy", "NotReady",
}

// knownReason bounds a reason: a webhook or a controller may invent any.
func knownReason(reason string) string {
	if slices.Contains(knownReasons, reason) {
		return reason
	}
	return other
}
