package main

import (
	"context"
	"fmt"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// fakeNode is the annotation of the nodes that KWOK looks after; it leaves all others alone.
const fakeNode = "kwok.x-k8s.io/node"

// ensureNodes creates the nodes node-0 to node-<count-1> that do not exist yet and deletes those of ours beyond.
func ensureNodes(ctx context.Context, client kubernetes.Interface, count int) error {
	wanted := make(map[string]bool, count)
	for i := range count {
		n := node(i)
		wanted[n.Name] = true
		if _, err := client.CoreV1().Nodes().Create(ctx, n, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("cannot create Node %s: %w", n.Name, err)
		}
	}
	existing, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("cannot list nodes: %w", err)
	}
	for _, n := range existing.Items {
		if n.Annotations[fakeNode] != "fake" || wanted[n.Name] {
			continue
		}
		if err := client.CoreV1().Nodes().Delete(ctx, n.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("cannot delete Node %s: %w", n.Name, err)
		}
	}
	return nil
}

// node returns the i-th node as a kubelet would register it; KWOK's stages make it Ready. Addresses are of a range
// that is nobody's (198.18.0.0/15, RFC 2544).
func node(i int) *core.Node {
	name := fmt.Sprintf("node-%d", i)
	capacity := core.ResourceList{
		core.ResourceCPU:              resource.MustParse("32"),
		core.ResourceMemory:           resource.MustParse("256Gi"),
		core.ResourcePods:             resource.MustParse("500"),
		core.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	return &core.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{fakeNode: "fake", "node.alpha.kubernetes.io/ttl": "0"},
			Labels: map[string]string{
				core.LabelHostname:               name,
				core.LabelOSStable:               "linux",
				core.LabelArchStable:             "amd64",
				"node-role.kubernetes.io/worker": "",
			},
		},
		Status: core.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Addresses: []core.NodeAddress{
				{Type: core.NodeInternalIP, Address: fmt.Sprintf("198.18.%d.%d", i/250, i%250+1)},
				{Type: core.NodeHostName, Address: name},
			},
		},
	}
}
