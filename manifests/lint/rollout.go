package lint

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kilter.dev/kilter/internal/phrase"
)

func allNodesAtOnce(s *subject) {
	rolling := s.daemonSet.UpdateStrategy.RollingUpdate
	if rolling != nil && is(rolling.MaxUnavailable, "100%") {
		s.report("spec.updateStrategy.rollingUpdate.maxUnavailable", "every change deletes the pods of all nodes at once, "+
			"and a broken one leaves none "+
			"running anywhere: write a number or a smaller share, such as 10%%")
	}
}

func is(value *intstr.IntOrString, text string) bool {
	return value != nil && value.Type == intstr.String && value.StrVal == text
}

// zero reports whether the value is given, and nothing.
func zero(value *intstr.IntOrString) bool {
	return is(value, "0%") || value != nil && *value == intstr.FromInt32(0)
}

// hostPortSurge: a surge starts the new pod beside the old one, on the same node.
func hostPortSurge(s *subject) {
	rolling := s.daemonSet.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.MaxSurge == nil || zero(rolling.MaxSurge) {
		return
	}
	for i, c := range s.template.Spec.Containers {
		for j, port := range c.Ports {
			if port.HostPort == 0 && !s.template.Spec.HostNetwork {
				continue
			}
			s.report(fmt.Sprintf("%s.containers[%d].ports[%d]", s.podPath, i, j), "the new pod waits for port %d of the node, which the "+
				"old one keeps until the new one is ready, so a rollout never ends: set maxUnavailable instead of maxSurge",
				cmp.Or(port.HostPort, port.ContainerPort))
		}
	}
}

func partitionAboveReplicas(s *subject) {
	strategy := s.stateful.UpdateStrategy
	rolling := strategy.RollingUpdate
	if rolling == nil || rolling.Partition == nil || strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	replicas := int32(1)
	if s.stateful.Replicas != nil {
		replicas = *s.stateful.Replicas
	}
	if partition := *rolling.Partition; partition > 0 && partition >= replicas {
		s.report("spec.updateStrategy.rollingUpdate.partition", "only pods from ordinal %d on are updated, and of %s none "+
			"is: no change reaches any pod; "+
			"lower the partition", partition, phrase.Count(replicas, "replica"))
	}
}

func gracePeriodZero(s *subject) {
	if grace := s.template.Spec.TerminationGracePeriodSeconds; grace != nil && *grace == 0 {
		s.report(s.podPath+".terminationGracePeriodSeconds", "a deleted pod is gone from the API before its containers have "+
			"ended, which get 2 s to end, and its "+
			"replacement may start beside them: write at least 1")
	}
}

// staleLatest finds images whose tag is moved, together with a policy that never asks again.
func staleLatest(s *subject) {
	s.containers(func(path string, c *corev1.Container) {
		if c.ImagePullPolicy != corev1.PullIfNotPresent && c.ImagePullPolicy != corev1.PullNever {
			return
		}
		name := c.Image[strings.LastIndexByte(c.Image, '/')+1:]
		if strings.Contains(name, "@") || strings.Contains(name, ":") && !strings.HasSuffix(name, ":latest") {
			return
		}
		s.report(path+".imagePullPolicy", "each node runs the latest image of the day on which it first pulled one, and %s keeps it: "+
			"write a version or a digest into image", c.ImagePullPolicy)
	})
}

// livenessEqualsReadiness finds a liveness probe that restarts a container as soon as, or before, readiness takes it out of
// service.
func livenessEqualsReadiness(s *subject) {
	s.containers(func(path string, c *corev1.Container) {
		live, ready := c.LivenessProbe, c.ReadinessProbe
		if live == nil || ready == nil || !reflect.DeepEqual(live.ProbeHandler, ready.ProbeHandler) ||
			patience(live) > patience(ready) {
			return
		}
		s.report(path+".livenessProbe", "the check that takes the container out of service after %d s restarts it after %d "+
			"s, so what is only slow is "+
			"restarted everywhere: raise failureThreshold, or check only that the process lives", patience(ready), patience(live))
	})
}

// patience is how long, in seconds, a probe fails before something happens, with the API's defaults.
func patience(p *corev1.Probe) int32 {
	period, failures := p.PeriodSeconds, p.FailureThreshold
	if period == 0 {
		period = 10
	}
	if failures == 0 {
		failures = 3
	}
	return period * failures
}
