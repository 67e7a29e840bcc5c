package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/hook"
	"kilter.dev/kilter/reconcile"
)

// webhooks receives those of every Sync that wants them. They have a listener of their own, so that forges reach nothing else.
type webhooks struct {
	listener net.Listener // nil: none are received
	receiver *hook.Receiver
	log      *slog.Logger
}

// newWebhooks listens on address; an empty one means that no webhooks are received.
func newWebhooks(address string, registry *prometheus.Registry, log *slog.Logger) (*webhooks, error) {
	w := &webhooks{log: log}
	if address == "" {
		return w, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot receive webhooks: %w; choose another address with --webhook-listen", err)
	}
	w.listener, w.receiver = listener, hook.NewReceiver(registry, log)
	return w, nil
}

// serve answers until ctx is done.
func (w *webhooks) serve(ctx context.Context) error {
	if w.listener == nil {
		return nil
	}
	return w.receiver.Serve(ctx, w.listener)
}

// follow has webhooks of the Sync call hurry, until what it returns is called.
func (w *webhooks) follow(ctx context.Context, cluster *reconcile.Cluster, sync *v1alpha1.Sync, hurry func()) (stop func()) {
	wanted := sync.Spec.Git.Webhook
	switch {
	case wanted == nil:
		return func() {}
	case w.listener == nil:
		w.log.Warn("spec.git.webhook has no effect", "sync", sync.Namespace+"/"+sync.Name, "why", "Kilter runs without --webhook-listen")
		return func() {}
	}
	return w.receiver.Add(ctx, hook.Target{
		Name: hook.Name{Namespace: sync.Namespace, Name: sync.Name},
		Secret: func(ctx context.Context) ([]byte, error) {
			data, err := cluster.Secret(ctx, sync.Namespace, wanted.SecretRef.Name)
			switch {
			case err != nil:
				return nil, fmt.Errorf("%w; spec.git.webhook.secretRef names it", err)
			case len(data["token"]) == 0:
				return nil, fmt.Errorf("Secret %s/%s lacks the key token; spec.git.webhook.secretRef names it", sync.Namespace, wanted.SecretRef.Name)
			}
			return data["token"], nil
		},
		Fetch: hurry,
	})
}
