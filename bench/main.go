// Command bench measures what Kilter promises of speed and memory, each promise beside the least that the same work costs on the same
// machine in the same minutes: `make bench` builds what it needs. docs/performance tells what each measure means, and how to read a run.
//
// For each number of objects it starts a cluster and a Git server and repeats: the raw limits, Kilter, and every other tool it is given, one
// after the other, in namespaces of their own, each as an ordinary ServiceAccount, so that the API server's priority and fairness holds. It
// prints a table, and writes results.json, a plot for each measure that grows, and the table in README.md into -out. It judges nothing: it
// exits with 0 when everything was measured, whatever the numbers are, and with 2 otherwise.
//
// main.go parses; run.go is the order of things; kilter.go, tool.go and raw.go are who is measured; sight.go, server.go and usage.go are the
// stopwatches; results.go, table.go and plot.go make what is read.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	sizes      []int
	reps       int
	samples    int // of what takes milliseconds, in each repetition
	inFlight   []int
	window     time.Duration // how long Kilter is watched at rest
	groups     map[string]bool
	tools      []tool
	kubeconfig string
	kilter     string // the program
	json, out  string
	flags      string // as they were given
	stdout     io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:])
	if err == nil {
		o.stdout = os.Stdout
		err = o.run(ctx)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

// parse reads the command line.
func parse(args []string) (*options, error) {
	o := &options{}
	var triggers []string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	sizes := flags.String("n", "100,1000,10000", "numbers of objects")
	flags.IntVar(&o.reps, "reps", 5, "repetitions of everything")
	flags.IntVar(&o.samples, "samples", 10, "in each repetition, of what takes milliseconds")
	inFlight := flags.String("in-flight", "1,8,16,32,64", "requests in flight of the raw apply")
	flags.DurationVar(&o.window, "window", 10*time.Second, "how long to watch Kilter at rest, and while statuses change")
	groups := flags.String("measures", strings.Join(groupNames(), ","), "what to measure")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "an administrator's kubeconfig of a cluster to use (default: start bin/devcluster for each -n)")
	flags.StringVar(&o.kilter, "kilter", "bin/kilter", "the program to measure")
	flags.StringVar(&o.json, "json", "", "file for every sample (default: results.json in -out)")
	flags.StringVar(&o.out, "out", "", "directory for the table, the plots and results.json (default: none are written)")
	quick := flags.Bool("quick", false, "-n 100 -reps 2 -samples 3 -in-flight 16 -window 2s: does everything work?")
	flags.Func("tool", "another tool as 'name=command'; may be repeated; see docs/performance", func(text string) error {
		t, err := parseTool(text)
		o.tools = append(o.tools, t)
		return err
	})
	flags.Func("trigger", "what tells a tool that keeps running of a push, as 'name=command'", func(text string) error {
		triggers = append(triggers, text)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	o.flags = strings.Join(args, " ")
	if *quick {
		*sizes, o.reps, o.samples, *inFlight, o.window = "100", 2, 3, "16", 2*time.Second
	}
	var err error
	if o.sizes, err = numbers("-n", *sizes, 100); err != nil {
		return nil, err
	}
	if o.inFlight, err = numbers("-in-flight", *inFlight, 1); err != nil {
		return nil, err
	}
	if o.reps < 1 || o.samples < 1 || o.samples > 10 {
		return nil, errors.New("-reps must be at least 1, and -samples from 1 to 10: no object is disturbed twice")
	}
	o.groups = map[string]bool{}
	for name := range strings.SplitSeq(*groups, ",") {
		if !slices.Contains(groupNames(), name) {
			return nil, fmt.Errorf("-measures %s: unknown; there are %s", name, strings.Join(groupNames(), ", "))
		}
		o.groups[name] = true
	}
	return o, o.addTriggers(triggers)
}

// addTriggers gives each tool its trigger.
func (o *options) addTriggers(triggers []string) error {
	for _, text := range triggers {
		trigger, err := parseTool(text)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(o.tools, func(t tool) bool { return t.name == trigger.name })
		if i < 0 {
			return fmt.Errorf("-trigger %s: there is no -tool of that name", trigger.name)
		}
		o.tools[i].trigger = trigger.command
	}
	return nil
}

// numbers parses a comma-separated list, which it returns sorted.
func numbers(name, text string, least int) ([]int, error) {
	var list []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < least {
			return nil, fmt.Errorf("%s %s: must be numbers from %d on, separated by commas", name, text, least)
		}
		list = append(list, n)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}
