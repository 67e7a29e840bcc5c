package main

import (
	"context"
	"fmt"
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdURL is where etcd serves: a socket in the cluster's directory, hence no port and no certificates. The path is
// relative because socket paths are limited to about 100 bytes.
const etcdURL = "unix://etcd.sock"

func etcd() component { return component{name: "etcd"} }

// runEtcd serves etcd from the working directory until ctx ends.
func runEtcd(ctx context.Context) error {
	config := embed.NewConfig()
	config.Name = "devcluster"
	config.Dir = "etcd"
	config.LogLevel = "warn"
	client := []url.URL{{Scheme: "unix", Host: "etcd.sock"}}
	peer := []url.URL{{Scheme: "unix", Host: "etcd-peer.sock"}}
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	config.UnsafeNoFsync = true                // data survive the death of the process, not of the machine
	config.TickMs, config.ElectionMs = 50, 250 // a single member need not wait long for its own vote
	config.SnapshotCatchUpEntries = 100        // there are no followers to keep history for
	config.EnableGRPCGateway = false

	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("cannot start etcd: %w", err)
	}
	defer server.Close()
	select {
	case <-ctx.Done():
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd failed: %w", err)
	}
}
