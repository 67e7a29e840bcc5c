package reconcile

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/reconcile/diff"
)

// What is kept of a log, and how much is read for it.
const (
	logLines   = 20
	logBytes   = 4 << 10
	logRead    = 64 << 10
	logTimeout = 5 * time.Second
)

// askTimeout is how long after its own end a loop still asks how a run ended: well within the grace period of a pod.
const askTimeout = 10 * time.Second

// podsRead is how many pods of a run are looked at: no more were at work at once in nearly every Job.
const podsRead = 500

// lastEnd is how the last container of a run ended.
type lastEnd struct {
	v1alpha1.ContainerEnd
	previous bool // a later attempt of the container follows it
	at       time.Time
}

// lastContainer returns how the last container of a run ended and what it said last: the last that failed, or, when none did, the last; nil when
// none has ended.
//
// A run that is about to fail has its pods stopped first, and they are gone when it has failed. So they are watched until they have ended, and
// one of them is listened to.
func (g *ledger) lastContainer(ctx context.Context, job *diff.Live) (*lastEnd, []byte, error) {
	selector := batchv1.ControllerUidLabel + "=" + string(job.UID)
	listing, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := g.cluster.kubernetes.CoreV1().Pods(job.ID.Namespace).List(listing, metav1.ListOptions{LabelSelector: selector, Limit: podsRead})
	if err != nil {
		return nil, nil, err
	}
	pods := list.Items
	var heard *hearing
	if job.Job.Outcome == "" {
		if heard = g.listen(ctx, pods); heard != nil {
			defer heard.stop()
		}
		if pods, err = g.untilEnded(ctx, *list, selector); err != nil {
			return nil, nil, err
		}
	}
	last := lastOf(pods, heard)
	if last == nil {
		return nil, nil, nil
	}
	if heard.is(*last) {
		if log := heard.all(); len(log) > 0 {
			return last, log, nil
		}
	}
	return last, g.log(ctx, job.ID.Namespace, *last), nil
}

// untilEnded watches pods that are being stopped, and returns them as they were seen last: ended, or gone.
func (g *ledger) untilEnded(ctx context.Context, list corev1.PodList, selector string) ([]corev1.Pod, error) {
	pods, active := map[string]corev1.Pod{}, map[string]bool{}
	var grace time.Duration
	for _, pod := range list.Items {
		pods[pod.Name] = pod
		if isActive(pod) {
			active[pod.Name] = true
			grace = max(grace, time.Duration(ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 0))*time.Second)
		}
	}
	if len(active) == 0 {
		return list.Items, nil
	}
	client := g.cluster.kubernetes.CoreV1().Pods(list.Items[0].Namespace)
	ctx, cancel := context.WithTimeout(ctx, grace+requestTimeout)
	defer cancel()
	_, err := watchtools.Until(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			return client.Watch(ctx, options)
		},
	}, func(event watch.Event) (bool, error) {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			return false, apierrors.FromObject(event.Object)
		}
		pods[pod.Name] = *pod
		if event.Type == watch.Deleted || !isActive(*pod) {
			delete(active, pod.Name)
		}
		return len(active) == 0, nil
	})
	return slices.Collect(maps.Values(pods)), err
}

// isActive reports whether a pod has not ended.
func isActive(pod corev1.Pod) bool {
	return pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed
}

// lastOf returns the last of the ends in some pods: one that failed before one that did not, and of those that were stopped together the one
// that was listened to.
func lastOf(pods []corev1.Pod, heard *hearing) *lastEnd {
	var last *lastEnd
	rank := func(end lastEnd) int {
		switch {
		case end.ExitCode != 0 && heard.is(end):
			return 2
		case end.ExitCode != 0:
			return 1
		}
		return 0
	}
	for _, pod := range pods {
		for _, end := range endsIn(pod) {
			if last == nil || cmp.Or(cmp.Compare(rank(end), rank(*last)), end.at.Compare(last.at)) > 0 {
				last = &end
			}
		}
	}
	return last
}

// endsIn returns how the containers of a pod ended, the newest attempt of each.
func endsIn(pod corev1.Pod) []lastEnd {
	var ends []lastEnd
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		ended, previous := status.State.Terminated, false
		if ended == nil {
			ended, previous = status.LastTerminationState.Terminated, true
		}
		if ended != nil {
			ends = append(ends, lastEnd{
				ContainerEnd: v1alpha1.ContainerEnd{Pod: pod.Name, Name: status.Name, ExitCode: ended.ExitCode, Reason: oneLine(ended.Reason)},
				previous:     previous, at: ended.FinishedAt.Time,
			})
		}
	}
	return ends
}

// log returns the last lines of a container that has ended; nothing where they cannot be had.
func (g *ledger) log(ctx context.Context, namespace string, end lastEnd) []byte {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	text, err := g.cluster.kubernetes.CoreV1().Pods(namespace).GetLogs(end.Pod, &corev1.PodLogOptions{
		Container: end.Name, Previous: end.previous, TailLines: ptr.To[int64](logLines), LimitBytes: ptr.To[int64](logRead),
	}).DoRaw(ctx)
	if err != nil || bytes.HasPrefix(text, []byte(unretrieved)) {
		return nil
	}
	if len(text) >= logRead { // cut off in the middle of a line, or of a secret
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	return text
}

// unretrieved begins what a kubelet says, with success, in place of the log of a container that it has removed.
const unretrieved = "unable to retrieve container logs for "

// hearing listens to a container until it ends, and keeps what it says last. Nil hears nothing.
type hearing struct {
	pod, container    string
	running, previous bool          // previous: the attempt before the one that waits to begin
	done              chan struct{} // closed at the end of the log
	stop              context.CancelFunc

	said []byte // the last logRead bytes, and up to as many before them; to be read when done
	cut  bool   // said does not begin where the log did
}

// listen begins to listen to a container of pods that are being stopped: the first that runs, or the first that has run; nil when none has.
func (g *ledger) listen(ctx context.Context, pods []corev1.Pod) *hearing {
	var able []*hearing
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			running, ended := status.State.Running != nil, status.State.Terminated != nil
			if isActive(pod) && (running || ended || status.LastTerminationState.Terminated != nil) {
				able = append(able, &hearing{pod: pod.Name, container: status.Name, running: running, previous: !running && !ended})
			}
		}
	}
	if len(able) == 0 {
		return nil
	}
	h := able[max(0, slices.IndexFunc(able, func(h *hearing) bool { return h.running }))]
	h.done = make(chan struct{})
	ctx, h.stop = context.WithCancel(ctx)
	request := g.cluster.kubernetes.CoreV1().Pods(pods[0].Namespace).GetLogs(h.pod, &corev1.PodLogOptions{
		Container: h.container, Previous: h.previous, Follow: true, TailLines: ptr.To[int64](logLines),
	})
	go func() {
		defer close(h.done)
		if stream, err := request.Stream(ctx); err == nil {
			defer stream.Close()
			_, _ = io.Copy(h, stream) // what was heard until then is what there is
		}
	}()
	return h
}

// Write keeps the end of what it is given.
func (h *hearing) Write(text []byte) (int, error) {
	h.said = append(h.said, text...)
	if len(h.said) > 2*logRead {
		h.said, h.cut = append(h.said[:0], h.said[len(h.said)-logRead:]...), true
	}
	return len(text), nil
}

// is reports whether this is the end of the container that is listened to.
func (h *hearing) is(end lastEnd) bool {
	return h != nil && h.pod == end.Pod && h.container == end.Name
}

// all returns what a container that has ended said last, in whole lines.
func (h *hearing) all() []byte {
	defer time.AfterFunc(logTimeout, h.stop).Stop()
	<-h.done
	if h.cut {
		_, h.said, _ = bytes.Cut(h.said, []byte("\n"))
	}
	return h.said
}
