package lint

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func allNodesAtOnce(s *subject) {
	rolling := s.daemonSet.UpdateStrategy.RollingUpdate
	if rolling != nil && is(rolling.MaxUnavailable, "100%") {
		s.report("spec.updateStrategy.rollingUpdate.maxUnavailable", "every change deletes the pods of all nodes at once, and a broken one leaves none "+
			"running anywhere: write a number or a smaller share, such as 10%%")
	}
}

func is(value *intstr.IntOrString, text string) bool {
	return value != nil && value.Type == intstr.String && value.StrVal == text
}

// hostPortSurge: a surge starts the new pod beside the old one, on the same node.
func hostPortSurge(s *subject) {
	rolling := s.daemonSet.UpdateStrategy.RollingUpdate
	if rolling == nil || rolling.MaxSurge == nil || is(rolling.MaxSurge, "0%") || *rolling.MaxSurge == intstr.FromInt32(0) {
		return
	}
	s.containers(func(path string, c *corev1.Container) {
		for i, port := range c.Ports {
			if port.HostPort == 0 && !s.template.Spec.HostNetwork {
				continue
			}
			s.report(fmt.Sprintf("%s.ports[%d]", path, i), "the new pod waits for port %d of the node, which the old one keeps until the new one is "+
				"ready, so a rollout never ends: set maxUnavailable instead of maxSurge", cmp.Or(port.HostPort, port.ContainerPort))
		}
	})
}

func partitionAboveReplicas(s *subject) {
	strategy := s.stateful.UpdateStrategy
	if strategy.RollingUpdate == nil || strategy.RollingUpdate.Partition == nil || strategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	replicas := int32(1)
	if s.stateful.Replicas != nil {
		replicas = *s.stateful.Replicas
	}
	if partition := *strategy.RollingUpdate.Partition; partition > 0 && partition >= replicas {
		s.report("spec.updateStrategy.rollingUpdate.partition", "only pods from ordinal %d on are updated and there are %s, so no change reaches any: "+
			"lower the partition", partition, count(replicas))
	}
}

func count(replicas int32) string {
	if replicas == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", replicas)
}

func gracePeriodZero(s *subject) {
	if grace := s.template.Spec.TerminationGracePeriodSeconds; grace != nil && *grace == 0 {
		s.report(s.podPath+".terminationGracePeriodSeconds", "a deleted pod is gone from the API before its containers have ended, which get 2 s to end, and its "+
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

// livenessEqualsReadiness finds a liveness probe that restarts a container as soon as, or before, readiness takes it out of service.
func livenessEqualsReadiness(s *subject) {
	s.containers(func(path string, c *corev1.Container) {
		live, ready := c.LivenessProbe, c.ReadinessProbe
		if live == nil || ready == nil || !reflect.DeepEqual(live.ProbeHandler, ready.ProbeHandler) || patience(live) > patience(ready) {
			return
		}
		s.report(path+".livenessProbe", "the same check restarts the container after %d s that takes it out of service after %d s, so overload becomes a "+
			"restart of all: raise failureThreshold, or check only that the process lives", patience(live), patience(ready))
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
