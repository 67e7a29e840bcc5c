package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	etcdversion "go.etcd.io/etcd/api/v3/version"
	"k8s.io/component-base/version"
	"sigs.k8s.io/kwok/pkg/consts"
)

const startHelp = `Start a control plane and serve until interrupted (SIGINT or SIGTERM).

Everything is kept in one directory: etcd's data, keys, kubeconfigs and one log per component. Starting again in the
same directory continues with the same objects; to start afresh, give an empty directory or delete the old one. Several
clusters can run side by side, each in its own directory: ports are free ones, on 127.0.0.1 only.

The line "ready" on stdout means: a Job, a CronJob, a DaemonSet and a Deployment have just worked. Everything else is
said on stderr.

Annotations of a pod (put them in the pod template) that decide how it ends:
  devcluster.kilter.dev/exit-code: "3"   its containers end with this code
  devcluster.kilter.dev/duration: 5s     after running for this long
Pods of Jobs end with code 0 at once unless told otherwise; all others run for ever.

With --real-node there is one more node, named real-node, whose containers are real: logs, exit codes, exec. It needs Linux,
root, and programs of the Debian packages containerd and runc, which "devcluster check-real-node" looks for. Pods get there
with the nodeSelector and the toleration kilter.dev/real-node: "true". They run the image devcluster.kilter.dev/workload:1,
whose arguments say what to do: print=TEXT, sleep=5s, exit=3… (devcluster/README.md has them all).`

// newCommand returns the whole command line.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "devcluster",
		Short:         "A real Kubernetes control plane for demos and tests, in one binary",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	// A package of Kubernetes registers --version for every program that links it; ours is a command.
	_ = pflag.CommandLine.MarkHidden("version")
	root.AddCommand(newUpCommand(), newKubeconfigCommand(), newVersionCommand(), newCheckCommand(), newComponentCommand(),
		newNetworkPluginCommand())
	return root
}

func newUpCommand() *cobra.Command {
	options := upOptions{stdout: os.Stdout, stderr: os.Stderr}
	cmd := &cobra.Command{
		Use:   "up --dir DIR --kubeconfig FILE",
		Short: "Start a control plane and serve until interrupted",
		Long:  startHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// After the first signal the default action is restored: a second one ends the program at once, and its
			// components with it.
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			return up(ctx, options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.dir, "dir", "", "directory for everything the cluster keeps; created when missing")
	flags.StringVar(&options.kubeconfig, "kubeconfig", "", "file to write the administrator's kubeconfig to")
	flags.IntVar(&options.nodes, "nodes", 3, "number of nodes (32 CPUs, 256 GiB and 500 pods each)")
	flags.BoolVar(&options.realNode, "real-node", false, "one more node, which runs containers (Linux, root, containerd and runc)")
	flags.BoolVarP(&options.verbose, "verbose", "v", false, "say on stderr what is being done")
	requireFlags(cmd, "dir", "kubeconfig")
	return cmd
}

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check-real-node",
		Short: "Say whether this machine can run a real node, and if not, what is missing",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return checkRealNode() },
	}
}

func newKubeconfigCommand() *cobra.Command {
	var dir, account, out string
	cmd := &cobra.Command{
		Use:   "kubeconfig --dir DIR --service-account NAMESPACE/NAME",
		Short: "Write a kubeconfig for a ServiceAccount of a running cluster",
		Long: `Write a kubeconfig that acts as a ServiceAccount, with a token that is valid for a year.

The ServiceAccount must exist; it may do what RBAC allows it, and nothing else.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := serviceAccountKubeconfig(cmd.Context(), dir, account)
			if err != nil {
				return err
			}
			if out == "" {
				_, err = cmd.OutOrStdout().Write(data)
				return err
			}
			return os.WriteFile(out, data, 0o600)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", "", "the directory that devcluster up was given")
	flags.StringVar(&account, "service-account", "", "the ServiceAccount, as NAMESPACE/NAME")
	flags.StringVar(&out, "out", "", "file to write to (default: stdout)")
	requireFlags(cmd, "dir", "service-account")
	return cmd
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of what the cluster is made of",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "kubernetes %s\netcd v%s\nkwok v%s\n",
				version.Get().GitVersion, etcdversion.Version, consts.Version)
			return err
		},
	}
}

// requireFlags marks flags as required. Cobra's only error is an unknown flag: a mistake in this file.
func requireFlags(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
}
