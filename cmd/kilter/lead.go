package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/rest"

	"kilter.dev/kilter/reconcile/leader"
)

// leaderOptions are the flags of kilter run that let several processes stand by for each other. They are named as in Kubernetes' own programs.
type leaderOptions struct {
	elect           bool
	name, namespace string
	duration        time.Duration
	advertise       string
}

func (o *leaderOptions) add(flags *pflag.FlagSet) {
	flags.BoolVar(&o.elect, "leader-elect", false, "work only while this process holds a Lease, and stand by otherwise; for several replicas")
	flags.StringVar(&o.name, "leader-elect-resource-name", "kilter", "name of the Lease")
	flags.StringVar(&o.namespace, "leader-elect-resource-namespace", "", "namespace of the Lease (default: the Pod's own, or that of the kubeconfig's context)")
	flags.DurationVar(&o.duration, "leader-elect-lease-duration", 10*time.Second,
		"how long after its last renewal the Lease of a leader that died is taken over; the same for every replica")
	flags.StringVar(&o.advertise, "leader-elect-webhook-address", "",
		"address at which replicas that stand by reach --webhook-listen of this one, to pass webhooks on (default: none are)")
}

// candidate returns this process in the election, and guards config; nil without --leader-elect. known is called when it is known who leads.
func (o *runOptions) candidate(config *rest.Config, log *slog.Logger, known func()) (*leader.Candidate, error) {
	switch {
	case !o.leader.elect:
		return nil, nil
	case o.file != "":
		return nil, errors.New("--leader-elect is for the Sync objects of a cluster: leave out -f")
	}
	namespace := o.leader.namespace
	if namespace == "" {
		var err error
		if namespace, err = o.contextNamespace(); err != nil {
			return nil, fmt.Errorf("cannot tell the namespace of the Lease: %w; name it with --leader-elect-resource-namespace", err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("cannot tell which pod this is: %w", err)
	}
	candidate, err := leader.New(config, leader.Options{
		Namespace: namespace, Name: o.leader.name, Identity: host, Address: o.leader.advertise, Duration: o.leader.duration, Known: known, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("--leader-elect-lease-duration: %w", err)
	}
	config.Wrap(candidate.Guard)
	return candidate, nil
}

// lead calls work as long as this process leads, which without an election is always.
func (p *program) lead(ctx context.Context, work func(context.Context) error) error {
	if p.candidate == nil {
		return work(ctx)
	}
	var err error
	p.candidate.Run(ctx, func(ctx context.Context) { err = work(ctx) })
	return err
}
