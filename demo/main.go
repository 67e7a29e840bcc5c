// Command demo plays the main job before your eyes: a Git server, a cluster, Kilter between them, and five things that happen to a
// repository of workloads. `make demo` builds what it needs.
//
//	KEEP=1             leaves everything running until it is interrupted
//	DEMO_KUBECONFIG=F  plays on another cluster, in a namespace "shop" that must not exist there
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := play(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
