package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
)

// installTimeout bounds how long a pass waits for the server to serve a kind that was just defined.
const installTimeout = 10 * time.Second

// recordableAgain is when a missing kind is looked for again.
const recordableAgain = 10 * time.Second

// installAgain is when a missing kind is looked for again; zero when none is missing.
func (l *Loop) installAgain() time.Time {
	if !l.unrecordable {
		return time.Time{}
	}
	return l.clock().Add(recordableAgain)
}

// recordable returns why Jobs cannot be started: their runs could not be put on record. A Sync in a file brings the JobRun kind along; in the
// cluster it was installed with Kilter.
func (l *Loop) recordable(ctx context.Context) *Trouble {
	if l.rehearses || !slices.ContainsFunc(l.set.Objects, func(o *manifests.Object) bool { return o.Run != nil }) {
		return nil
	}
	own := l.ledger.cluster
	if l.recordsServed() {
		return nil
	}
	own.mapper.Reset()
	_, err := own.resolve(jobRunKind, v1alpha1.GroupVersion.Version)
	if meta.IsNoMatchError(err) && l.parent.Kind != v1alpha1.SyncKind {
		err = own.installJobRuns(ctx)
	}
	if err == nil {
		return nil
	}
	const text = "Jobs are not started, since their runs could not be put on record: %s; install the kind of the records: " +
		"kilter crds | kubectl apply --server-side -f -"
	failure := newFailure(err, l.cluster.host)
	return &Trouble{Reason: failure.Reason, Message: fmt.Sprintf(text, failure.Text)}
}

// recordsServed reports whether the server is known to serve JobRuns.
func (l *Loop) recordsServed() bool {
	_, err := l.ledger.cluster.resolve(jobRunKind, v1alpha1.GroupVersion.Version)
	return err == nil
}

// installJobRuns defines the JobRun kind, and returns when the server serves it.
func (c *Cluster) installJobRuns(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	name := v1alpha1.JobRunResource + "." + v1alpha1.GroupVersion.Group
	definition, err := v1alpha1.CRDs.ReadFile("crds/" + v1alpha1.GroupVersion.Group + "_" + v1alpha1.JobRunResource + ".yaml")
	if err != nil {
		return err
	}
	body, err := yaml.YAMLToJSON(definition)
	if err != nil {
		return err
	}
	crds := schema.GroupVersionResource{Group: apiextensionsv1.GroupName, Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := c.apply(ctx, applyRequest{target: resource{gvr: crds}, name: name, body: body}); err != nil {
		return err
	}
	// The server tells of a new kind some time after the CRD is established, and no event says when.
	err = wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		c.mapper.Reset()
		_, err := c.resolve(jobRunKind, v1alpha1.GroupVersion.Version)
		return err == nil, nil
	})
	if err != nil {
		return &Failure{Class: Transient, Reason: "UnknownKind", Text: "the API server does not serve the kind JobRun yet"}
	}
	return nil
}
