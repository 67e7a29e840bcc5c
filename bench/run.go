package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"kilter.dev/kilter/internal/await"
	"kilter.dev/kilter/internal/gitserver"
)

// run measures everything and writes what was found.
func (o *options) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "kilter-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	found := &results{Subjects: []string{subjectKilter, subjectRaw}}
	for _, t := range o.tools {
		found.Subjects = append(found.Subjects, t.name)
	}
	for _, n := range o.sizes {
		found.Runs = append(found.Runs, taking{
			N: n, Taken: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Load: loadAverage(), Reps: o.reps, Flags: o.flags,
		})
		b := &bench{options: o, results: found, n: n, work: newWork(n), dir: filepath.Join(dir, strconv.Itoa(n))}
		if err := b.run(ctx); err != nil {
			found.summarize()
			fmt.Fprint(o.stdout, "\nIt did not come to its end. What was found before:\n\n", found.tables())
			return fmt.Errorf("%d objects: %w", n, err)
		}
	}
	if err := o.merge(found); err != nil {
		return err
	}
	return o.write(found)
}

// loadAverage returns how many processes of this machine wanted a core during the last minute; zero where nobody tells.
func loadAverage() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	load, _ := strconv.ParseFloat(first, 64)
	return load
}

// bench measures one number of objects.
type bench struct {
	*options
	results  *results
	n        int
	work     []object
	dir      string
	cluster  *cluster
	git      *gitserver.Server
	repo     *gitserver.Repo
	accounts map[string]*account // by subject
	pushes   int                 // how many there were
}

// say prints a line of progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.stdout, "%s  %6d objects  %s\n", time.Now().Format("15:04:05"), b.n, fmt.Sprintf(format, args...))
}

// run sets up a cluster and a repository and repeats.
func (b *bench) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	if b.cluster, err = openCluster(ctx, b.kubeconfig, b.dir); err != nil {
		return err
	}
	defer b.cluster.close()
	if b.git, err = gitserver.Start(gitserver.Options{Dir: filepath.Join(b.dir, "git")}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.git.Close()) }()
	if b.repo, err = b.git.Create(ctx, "work", filepath.Join(b.dir, "work")); err != nil {
		return err
	}
	b.accounts = map[string]*account{}
	for _, subject := range b.results.Subjects {
		if b.accounts[subject], err = b.cluster.account(ctx, subject); err != nil {
			return err
		}
	}
	for rep := range b.reps {
		if err := b.repeat(ctx, rep); err != nil {
			return err
		}
	}
	return nil
}

// repetition is everything once.
type repetition struct {
	*bench
	rep int
}

// repeat measures everything once: everyone in a namespace of their own, and each time in another order.
func (b *bench) repeat(ctx context.Context, rep int) error {
	r := &repetition{bench: b, rep: rep}
	b.say("repetition %d of %d", rep+1, b.reps)
	if err := r.reset(ctx); err != nil {
		return err
	}
	turns := []func(context.Context) error{r.measureRawApply, r.measureKilter}
	for _, t := range b.tools {
		turns = append(turns, func(ctx context.Context) error { return r.measureTool(ctx, t) })
	}
	for i := range turns {
		if err := turns[(i+rep)%len(turns)](ctx); err != nil {
			return err
		}
	}
	return nil
}

// add keeps a sample.
func (r *repetition) add(measure, subject, part string, value float64) {
	r.results.add(sample{n: r.n, rep: r.rep, measure: measure, subject: subject, part: part, value: value})
}

// reset brings the repository back to the work as it was at first.
func (b *bench) reset(ctx context.Context) error {
	for _, o := range b.work {
		if err := b.repo.Write(o.file, o.text); err != nil {
			return err
		}
	}
	return b.push(ctx)
}

// push commits the work tree and pushes it.
func (b *bench) push(ctx context.Context) error {
	if _, err := b.repo.Commit(ctx, "Change the work"); err != nil {
		return err
	}
	return b.repo.Push(ctx)
}

// change gives one ConfigMap a new value in the repository, and returns it with that.
func (b *bench) change(ctx context.Context) (changed object, value string, err error) {
	b.pushes++
	value = fmt.Sprintf("push-%d", b.pushes)
	all := ofKind(b.work, "ConfigMap")
	changed = all[len(all)-1]
	if err := b.repo.Write(changed.file, changed.withValue(value).text); err != nil {
		return changed, value, err
	}
	return changed, value, b.push(ctx)
}

// place is a namespace that is watched.
type place struct {
	*sight
	cluster   *cluster
	namespace string
}

// enter makes a namespace.
func (b *bench) enter(ctx context.Context, subject string) (*place, error) {
	namespace, err := b.cluster.namespace(ctx, b.cluster.home+"-"+subject+"-")
	if err != nil {
		return nil, err
	}
	seen, err := look(ctx, b.cluster.config, namespace)
	return &place{seen, b.cluster, namespace}, err
}

// leave deletes the namespace, and returns when it is gone with all that is in it: nobody else's measures shall pay for that.
func (p *place) leave(ctx context.Context) error {
	defer p.close()
	gone := p.expectCount(0)
	options := metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}
	for _, resource := range kinds {
		if err := p.cluster.dynamic.Resource(resource).Namespace(p.namespace).DeleteCollection(ctx, options, metav1.ListOptions{}); err != nil {
			return err
		}
	}
	if _, err := gone.wait(ctx); err != nil {
		return err
	}
	core := p.cluster.kubernetes.CoreV1()
	if err := core.Namespaces().Delete(ctx, p.namespace, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return await.Gone[corev1.Namespace](ctx, await.Object{Client: core.RESTClient(), Resource: "namespaces", Name: p.namespace})
}
