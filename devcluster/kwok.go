package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	nodefast "sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	"sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"
)

// stageFiles say how pods end, where KWOK's own stages do not.
//
//go:embed stages/*.yaml
var stageFiles embed.FS

// kwok plays the kubelet of our nodes.
func kwok() component { return component{name: "kwok"} }

// runKWOK runs KWOK's controllers in the cluster's directory until ctx ends.
//
// It calls the controllers rather than KWOK's command for the sake of ID: node leases are held under it, and a name that
// is new at each start would have to wait for the old lease to expire (40 s) before any pod runs again.
func runKWOK(ctx context.Context) error {
	ctx = log.NewContext(ctx, log.NewLogger(os.Stderr, log.LevelWarn))
	stages, err := loadStages()
	if err != nil {
		return fmt.Errorf("cannot read KWOK's stages: %w", err)
	}
	conf := controllers.Config{
		ID:                                "devcluster",
		Clock:                             clock.RealClock{},
		LocalStages:                       stages,
		ManageNodesWithAnnotationSelector: fakeNode + "=fake",
		CIDR:                              "10.244.0.0/16",
		NodeIP:                            "198.18.0.1", // for nodes that come without an address
		NodePlayStageParallelism:          2,
		PodPlayStageParallelism:           8,
		PodsOnNodeSyncParallelism:         1,
		NodeLeaseParallelism:              1,
		NodeLeaseDurationSeconds:          40,
		EnablePodsOnNodeSyncListPager:     true,
	}
	if err := connect(&conf, kubeconfigOf("kwok")); err != nil {
		return fmt.Errorf("cannot connect KWOK to the API server: %w", err)
	}
	controller, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("cannot set up KWOK: %w", err)
	}
	if err := controller.Start(ctx); err != nil {
		return fmt.Errorf("cannot start KWOK: %w", err)
	}
	<-ctx.Done()
	return nil
}

// connect fills in KWOK's clients.
func connect(conf *controllers.Config, kubeconfig string) error {
	clients, err := client.NewClientset("", kubeconfig)
	if err != nil {
		return err
	}
	restConfig, err := clients.ToRESTConfig()
	if err != nil {
		return err
	}
	if conf.RESTMapper, err = clients.ToRESTMapper(); err != nil {
		return err
	}
	if conf.DynamicClient, err = clients.ToDynamicClient(); err != nil {
		return err
	}
	if conf.RESTClient, err = rest.RESTClientFor(restConfig); err != nil {
		return err
	}
	conf.ImpersonatingDynamicClient = clients.ToImpersonatingDynamicClient()
	conf.ImpersonatingTypedClient = clients.ToImpersonatingTypedClient()
	conf.TypedClient, err = kubernetes.NewForConfig(restConfig)
	return err
}

// loadStages returns KWOK's stages for nodes and for the start and deletion of pods, and ours for their end, by the kind
// they are for.
func loadStages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	sources := []string{
		nodefast.DefaultNodeInit,
		heartbeat.DefaultNodeHeartbeatWithLease,
		podfast.DefaultPodReady,
		podfast.DefaultPodDelete,
	}
	err := fs.WalkDir(stageFiles, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := stageFiles.ReadFile(path)
		sources = append(sources, string(data))
		return err
	})
	if err != nil {
		return nil, err
	}
	stages := make(map[internalversion.StageResourceRef][]*internalversion.Stage)
	for _, source := range sources {
		stage, err := config.UnmarshalWithType[*internalversion.Stage](source)
		if err != nil {
			return nil, err
		}
		ref := stage.Spec.ResourceRef
		stages[ref] = append(stages[ref], stage)
	}
	return stages, nil
}
