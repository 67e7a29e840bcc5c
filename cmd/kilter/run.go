package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/manifests/verdict"
	"kilter.dev/kilter/reconcile"
	"kilter.dev/kilter/reconcile/leader"
)

// runOptions are the flags of kilter run.
type runOptions struct {
	file string
	access
	leader          leaderOptions
	tenancy         tenancyOptions
	once            bool
	watchNamespaces []string
	listen          string
	webhookListen   string
	pprofListen     string
	log             logOptions
	kubeVersion     string
	stdout          io.Writer
}

func runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run [-f sync.yaml]",
		Short: "Run the loop: Sync objects in the cluster, or the Sync in a file",
		Long: `Run the loop. Without -f it follows the Sync objects of the cluster and writes their status. With -f it follows the one Sync in the
file: no Sync object is needed, the inventory is kept in the ConfigMap kilter-<name>, and what happens is printed.

With --once it reads the repository once, waits until nothing moves any more, and exits: 0 when everything is as Git says,
1 when manifests were rejected, or objects failed or could not be applied within spec.timeout, 2 when the repository or the cluster could not be read.`,
		Example: `  kilter run -f sync.yaml --once
  kilter run --watch-namespaces team-a,team-b --listen :8080`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.stdout = cmd.OutOrStdout()
			return o.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&o.file, "filename", "f", "", "file with one Sync document; without it the Sync objects of the cluster are followed")
	flags.BoolVar(&o.once, "once", false, "read the repository once, wait for the outcome and exit (needs -f)")
	o.add(flags)
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "namespaces whose Syncs are followed (default: all)")
	flags.StringVar(&o.dataDir, "data-dir", "", "directory for what is fetched; safe to delete at any time (default: a temporary one)")
	flags.StringVar(&o.listen, "listen", "", "address that serves /metrics, /healthz and /readyz, such as :8080 (default: none)")
	flags.StringVar(&o.webhookListen, "webhook-listen", "", "address that receives the webhooks of Syncs with spec.git.webhook, such as :9292 (default: none)")
	flags.StringVar(&o.kubeVersion, "kube-version", "", "Kubernetes version whose rules manifests are checked by; where the server's differs, it has "+
		"the last word (default: "+verdict.Version()+")")
	flags.StringVar(&o.pprofListen, "pprof-listen", "", "address on the loopback interface that serves Go's profiles, such as 127.0.0.1:6060 (default: none)")
	o.limits.add(flags)
	o.leader.add(flags)
	o.tenancy.add(flags)
	o.log.add(flags)
	return cmd
}

func (o *runOptions) run(ctx context.Context) error {
	spareMemory()
	var sync *v1alpha1.Sync
	if o.file != "" {
		var err error
		if sync, err = readSync(o.file); err != nil {
			return err
		}
	} else if o.once {
		return errors.New("--once needs a Sync document: add -f sync.yaml")
	}
	if err := emulate(o.kubeVersion); err != nil {
		return err
	}
	log, err := o.log.logger(o.stdout, o.file != "")
	if err != nil {
		return err
	}
	remove, err := o.makeDataDir()
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	program, err := newProgram(o, log)
	if err != nil {
		return err
	}
	program.traces = newTracing(ctx, log)
	defer program.traces.close(ctx)

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return program.server.serve(ctx) })
	group.Go(func() error { return program.webhooks.serve(ctx) })
	group.Go(func() error { return program.profiles.serve(ctx) })
	group.Go(func() error {
		defer stop()
		return program.lead(ctx, func(ctx context.Context) error { return program.follow(ctx, sync) })
	})
	return group.Wait()
}

// newProgram listens, and sets up the connection to the cluster. It sends no request.
func newProgram(o *runOptions, log *slog.Logger) (*program, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	client := reconcile.NewClientMetrics(registry)
	client.Install()
	p := &program{runOptions: o, metrics: reconcile.NewMetrics(registry, version), client: client, log: log}
	var err error
	if p.rules, err = o.tenancy.rules(); err != nil {
		return nil, err
	}
	if p.server, err = newServer(o.listen, p.metrics.Handler(registry)); err != nil {
		return nil, err
	}
	if p.webhooks, err = newWebhooks(o.webhookListen, registry, log); err != nil {
		return nil, err
	}
	if p.profiles, err = newProfiles(o.pprofListen); err != nil {
		return nil, err
	}
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	if p.candidate, err = o.candidate(config, log, p.server.ready); err != nil {
		return nil, err
	}
	if p.candidate != nil && p.webhooks.receiver != nil {
		p.webhooks.receiver.Forward(p.candidate.Elsewhere)
	}
	if p.cluster, err = reconcile.Connect(config); err != nil {
		return nil, err
	}
	p.events = reconcile.NewRecorder(p.cluster, log)
	return p, nil
}

// program is what a run works with, once everything is open.
type program struct {
	*runOptions
	cluster   *reconcile.Cluster
	rules     reconcile.Tenancy
	candidate *leader.Candidate // nil: this process works without an election
	metrics   *reconcile.Metrics
	client    *reconcile.ClientMetrics
	events    *reconcile.Recorder
	traces    *tracing
	server    *server
	webhooks  *webhooks
	profiles  *profiles
	log       *slog.Logger
}

// follow runs the loop of the Sync in the file, or those of the Sync objects if there is no file. Events are written as long as there can be
// any: what the last passes were worth is on record when it returns.
func (p *program) follow(ctx context.Context, sync *v1alpha1.Sync) error {
	recording, stop := context.WithCancel(context.WithoutCancel(ctx))
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		p.events.Run(recording)
	}()
	defer func() {
		stop()
		<-recorded
	}()
	if sync != nil {
		return p.followFile(ctx, sync)
	}
	return p.followObjects(ctx)
}

// followFile runs the loop of the one Sync that the file holds.
func (p *program) followFile(ctx context.Context, sync *v1alpha1.Sync) error {
	repository, err := p.openAny(sync, p.cluster)
	if err != nil {
		return err
	}
	defer repository.Close()
	loop, err := reconcile.NewLoop(reconcile.Options{
		Sync: sync, Cluster: p.cluster, Tenancy: p.rules, Fetch: repository.Fetch, Loader: manifests.NewLoader(p.limits.options()),
		Publish: func(r *reconcile.Result) {
			p.metrics.Observe(sync, r)
			p.traces.Observe(sync, r)
			p.server.ready()
		},
		Record: p.events.Record, Log: p.log, Clock: time.Now,
	})
	if err != nil {
		return err
	}
	p.metrics.Follow(sync, loop.Schedules)
	if !p.once {
		defer p.webhooks.follow(ctx, p.cluster, sync, loop.Hurry)()
		loop.Run(ctx)
		return nil
	}
	return outcome(loop.RunOnce(ctx))
}

// outcome turns the last Result of --once into the exit code. What it says was logged already.
func outcome(r *reconcile.Result) error {
	switch {
	case r == nil:
		return &exitError{code: exitUsage, err: errors.New("interrupted before the outcome was known; run it again")}
	case r.Ready():
		return nil
	case r.FetchError != nil || r.ClusterError != nil:
		return &exitError{code: exitUsage, err: errors.New(r.Message()), silent: true}
	}
	if tried := r.StillTried(); tried != "" {
		return &exitError{code: exitProblems, err: errors.New("gave up after spec.timeout; still tried was " + tried)}
	}
	return &exitError{code: exitProblems, err: errors.New(r.Message()), silent: true}
}

// followObjects runs a loop for every Sync object.
func (p *program) followObjects(ctx context.Context) error {
	controller := reconcile.NewController(reconcile.ControllerOptions{
		Cluster: p.cluster, Tenancy: p.rules, Limits: p.limits.options(), Namespaces: p.watchNamespaces,
		Metrics: p.metrics, Traces: p.traces.Traces, Queues: p.client.Queues(),
		Record: p.events.Record, Log: p.log, Clock: time.Now,
		Open: func(sync *v1alpha1.Sync) (reconcile.Opened, error) {
			repository, err := p.open(sync, p.cluster)
			if err != nil {
				return reconcile.Opened{}, err
			}
			return reconcile.Opened{Fetch: repository.Fetch, Close: repository.Close}, nil
		},
		Began: func(sync *v1alpha1.Sync, hurry func()) func() {
			return p.webhooks.follow(ctx, p.cluster, sync, hurry)
		},
		Synced: p.server.ready,
	})
	controller.Run(ctx)
	return nil
}
