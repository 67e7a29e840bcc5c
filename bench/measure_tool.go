package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// toolSamples bounds the repeated measures of other tools, some of which take half a minute each.
const toolSamples = 3

// toolTurn is a tool's part of a repetition.
type toolTurn struct {
	*repetition
	*place
	tool    *toolRun
	account *account
}

// measureTool measures what any tool can be asked for: the first apply, a look when nothing has changed, one change, and memory.
func (r *repetition) measureTool(ctx context.Context, which tool) (err error) {
	p, err := r.enter(ctx, which.name)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	t := &toolTurn{repetition: r, place: p, account: r.accounts[which.name]}
	t.tool = &toolRun{tool: which, dir: filepath.Join(r.dir, p.namespace), task: task{
		Repo: r.git.URL("work"), Branch: "main", Path: "prod", Kubeconfig: t.account.kubeconfig, Namespace: p.namespace, Root: root,
	}}
	if err := os.MkdirAll(t.tool.dir, 0o700); err != nil {
		return err
	}
	defer func() {
		t.tool.close()
		err = errors.Join(err, t.leave(ctx))
	}()
	if err := t.firstApply(ctx); err != nil {
		return err
	}
	if r.groups["rest"] {
		if err := t.rest(ctx); err != nil {
			return err
		}
	}
	if r.groups["push"] {
		if err := t.push(ctx); err != nil {
			return err
		}
	}
	if r.groups["memory"] {
		t.add("memory", which.name, "", t.tool.usage().peak)
	}
	return nil
}

func (t *toolTurn) firstApply(ctx context.Context) error {
	before, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	all := t.expectCount(t.n)
	start := time.Now()
	if err := t.tool.act(ctx); err != nil {
		return err
	}
	end, err := t.tool.await(ctx, all)
	if err != nil {
		return err
	}
	if _, err := t.tool.finish(ctx); err != nil {
		return err
	}
	after, err := t.cluster.read(ctx)
	if err != nil || !t.groups["apply"] {
		return err
	}
	counted := after.since(before)
	t.say("%s: first apply %.2f s", t.tool.name, end.Sub(start).Seconds())
	t.add("first-apply", t.tool.name, "", end.Sub(start).Seconds())
	t.add("first-apply-cpu", t.tool.name, "", t.tool.usage().cpu)
	t.add("first-apply-server-cpu", t.tool.name, "", counted.cpu)
	t.add("first-apply-requests", t.tool.name, "", counted.byFlow[t.account.flowSchema])
	return nil
}

// rest measures one more look of a tool that ends, and of one that keeps running whatever it does in the window.
func (t *toolTurn) rest(ctx context.Context) error {
	before, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	used := t.tool.usage().cpu
	if t.tool.running() {
		select {
		case <-time.After(t.window):
		case <-ctx.Done():
			return ctx.Err()
		}
	} else {
		used = 0
		if err := t.tool.act(ctx); err != nil {
			return err
		}
		for ended := false; !ended; {
			if ended, err = t.tool.finish(ctx); err != nil {
				return err
			}
		}
	}
	after, err := t.cluster.read(ctx)
	if err != nil {
		return err
	}
	t.add("rest-requests", t.tool.name, "", after.since(before).byFlow[t.account.flowSchema])
	t.add("rest-cpu", t.tool.name, "", (t.tool.usage().cpu-used)*1000)
	return nil
}

func (t *toolTurn) push(ctx context.Context) error {
	for range min(t.samples, toolSamples) {
		changed, value, err := t.change(ctx)
		if err != nil {
			return err
		}
		seen := t.expectValues([]object{changed}, value)
		start := time.Now()
		if err := t.tool.act(ctx); err != nil {
			return err
		}
		end, err := t.tool.await(ctx, seen)
		if err != nil {
			return err
		}
		t.add("push", t.tool.name, "", milliseconds(end.Sub(start)))
		if _, err := t.tool.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}
