package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// realNode is the name of the node that runs containers, and of its component.
const realNode = "real-node"

// realNodeMark is a label of the real node, by which pods choose it, and its taint, by which all others stay away from it.
const realNodeMark = "kilter.dev/real-node"

// realNodeAddress is where the kubelet serves, at the API server's port: what is reserved on 127.0.0.1 (port.go) nobody is given here.
// A kubelet takes no loopback address for its node; a cloud provider may say it, and the dev cluster is its own.
const realNodeAddress = "127.0.0.2"

// Images that containers of the real node are made of, both of the program workload and nothing else.
const (
	pauseImage    = "devcluster.kilter.dev/pause:1"
	workloadImage = "devcluster.kilter.dev/workload:1"
)

// realNodeComponent is the machine: the first process in process and mount namespaces of its own, with containerd and a kubelet as
// children. When it ends, however that happens, the kernel ends all that runs in them and takes their mounts away.
func realNodeComponent(port int) component {
	return component{name: realNode, args: []string{strconv.Itoa(port)}, isolated: true}
}

// checkRealNode returns why this machine cannot run a real node, and the way out; nil if it can.
func checkRealNode() error {
	if err := cmp.Or(checkNamespaces(), checkCgroups()); err != nil {
		return fmt.Errorf("cannot run a real node: %w", err)
	}
	var missing []string
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("cannot run a real node without %s: install what is missing with `apt-get install -y containerd runc`",
			strings.Join(missing, ", "))
	}
	_, err := workloadProgram()
	return err
}

// workloadProgram returns the path of the program that images are made of. It lies beside this one.
func workloadProgram() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(program), "devcluster-workload")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("cannot run a real node without %s: build it with `make devcluster`", path)
	}
	return path, nil
}

// ensureRealNode creates the real node's object, which its kubelet then finds. Conditions that an earlier kubelet left are removed.
func ensureRealNode(ctx context.Context, client kubernetes.Interface) error {
	wanted := &core.Node{
		ObjectMeta: metav1.ObjectMeta{Name: realNode, Labels: map[string]string{realNodeMark: "true"}},
		Spec:       core.NodeSpec{Taints: []core.Taint{{Key: realNodeMark, Value: "true", Effect: core.TaintEffectNoSchedule}}},
	}
	nodes := client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, wanted, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		node, err = nodes.Get(ctx, realNode, metav1.GetOptions{})
	}
	if err != nil {
		return fmt.Errorf("cannot create Node %s: %w", realNode, err)
	}
	node.Status = core.NodeStatus{Addresses: []core.NodeAddress{{Type: core.NodeInternalIP, Address: realNodeAddress}}}
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("cannot give Node %s its address: %w", realNode, err)
	}
	return nil
}

// deleteRealNode deletes the object that an earlier start with a real node left.
func deleteRealNode(ctx context.Context, client kubernetes.Interface) error {
	if err := client.CoreV1().Nodes().Delete(ctx, realNode, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("cannot delete Node %s: %w", realNode, err)
	}
	return nil
}

// proveRealNode returns when a pod has run on the real node and its log was read through the API server.
func proveRealNode(ctx context.Context, client kubernetes.Interface, log *slog.Logger) error {
	begin := time.Now()
	nodes := cache.NewListWatchFromClient(client.CoreV1().RESTClient(), "nodes", metav1.NamespaceAll,
		fields.OneTermEqualSelector("metadata.name", realNode))
	ready := func(event watch.Event) (bool, error) {
		node, ok := event.Object.(*core.Node)
		return ok && nodeReady(node), nil
	}
	if err := until(ctx, nodes, &core.Node{}, nil, ready); err != nil {
		return fmt.Errorf("Node %s is not Ready: %w", realNode, err)
	}
	log.Info("ready", "node", realNode, "after", time.Since(begin).Round(time.Millisecond))
	if err := realNodeProbe(client).prove(ctx); err != nil {
		return fmt.Errorf("Node %s does not work: %w", realNode, err)
	}
	log.Info("works", "node", realNode, "after", time.Since(begin).Round(time.Millisecond))
	return nil
}

func nodeReady(node *core.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// realNodeProbe is a pod that says something and ends.
func realNodeProbe(client kubernetes.Interface) probe {
	const said = "it works"
	pods := client.CoreV1().Pods(probeNamespace)
	return probe{
		resource: "pods",
		client:   client.CoreV1().RESTClient(),
		object: &core.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: probeName, Namespace: probeNamespace},
			Spec: core.PodSpec{
				NodeSelector:  map[string]string{realNodeMark: "true"},
				Tolerations:   []core.Toleration{{Key: realNodeMark, Operator: core.TolerationOpExists}},
				RestartPolicy: core.RestartPolicyNever,
				Containers:    []core.Container{{Name: "probe", Image: workloadImage, Args: []string{"print=" + said}}},
			},
		},
		works: func(o runtime.Object) bool { return o.(*core.Pod).Status.Phase == core.PodSucceeded },
		proof: func(ctx context.Context) error {
			log, err := pods.GetLogs(probeName, &core.PodLogOptions{}).Stream(ctx)
			if err != nil {
				return err
			}
			defer log.Close()
			switch text, err := io.ReadAll(log); {
			case err != nil:
				return err
			case string(text) != said+"\n":
				return errors.New("a container's log is not what it printed")
			}
			return nil
		},
	}
}
