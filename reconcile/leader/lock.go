package leader

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/reconcile"
)

// lock is the Lease as one candidature uses it. Beyond client-go's it knows when a renewal was sent, and never touches somebody else's: to
// release, client-go writes to the newest version that it reads, whoever holds that one.
type lock struct {
	*resourcelock.LeaseLock
	candidate *Candidate
	holder    string      // as last read or written; belongs to the elector's goroutine
	won       atomic.Bool // this candidature has held the Lease
}

func newLock(c *Candidate) *lock {
	return &lock{candidate: c, LeaseLock: &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name},
		Client:     c.leases,
		LockConfig: resourcelock.ResourceLockConfig{Identity: c.Identity},
	}}
}

func (l *lock) acquired() bool { return l.won.Load() }

// Get reads the Lease. Somebody else's name in it ends what leads.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if l.holder = record.HolderIdentity; l.holder != l.Identity() {
		l.candidate.lapse()
	}
	return record, raw, nil
}

// Create creates the Lease for this process.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.LeaseLock.Create(ctx, record) })
}

// Update acquires, renews or releases the Lease.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	if record.HolderIdentity == "" {
		l.candidate.lapse()
		if l.holder != l.Identity() {
			return errors.New("somebody else holds the Lease")
		}
	}
	return l.write(record, func() error { return l.LeaseLock.Update(ctx, record) })
}

func (l *lock) write(record resourcelock.LeaderElectionRecord, write func() error) error {
	sent := time.Now()
	if err := write(); err != nil {
		return err
	}
	if l.holder = record.HolderIdentity; l.holder != "" {
		l.won.Store(true)
		l.candidate.renewedAt(sent)
	}
	return nil
}

// watch calls freed whenever the Lease becomes free, until ctx is done: the elector by itself would look only now and then.
func (c *Candidate) watch(ctx context.Context, freed func()) {
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: reconcile.One(c.leases.Leases(c.Namespace), c.Name),
		ObjectType:    &coordinationv1.Lease{},
		Handler: cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(_, object any) {
				if lease, ok := object.(*coordinationv1.Lease); ok && ptr.Deref(lease.Spec.HolderIdentity, "") == "" {
					freed()
				}
			},
			DeleteFunc: func(any) { freed() },
		},
	})
	informer.RunWithContext(ctx)
}
