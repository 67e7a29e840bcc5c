package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/spf13/cobra"
)

// podNetworkSocket is where the real node's first process sets up the network of pods, as the node sees it.
const podNetworkSocket = "/run/devcluster-network.sock"

// networkRequest is one call of a network plugin, by the Container Network Interface: its variables and its stdin.
type networkRequest struct {
	Command   string // ADD, DEL, CHECK
	Container string // ID of the pod's sandbox
	Namespace string // path of its network namespace
	Interface string // what it is to be called in the pod
	Config    networkConfig
}

// networkConfig is the part of a plugin's configuration that we heed.
type networkConfig struct {
	Version string `json:"cniVersion"`
	Type    string `json:"type"` // the plugin's name
}

// networkReply is what the plugin prints: a result, or an error if Code is not zero.
type networkReply struct {
	Version    string             `json:"cniVersion"`
	Interfaces []networkInterface `json:"interfaces,omitempty"`
	IPs        []networkIP        `json:"ips,omitempty"`
	Code       int                `json:"code,omitempty"`
	Message    string             `json:"msg,omitempty"`
}

type networkInterface struct {
	Name    string `json:"name"`
	Sandbox string `json:"sandbox"` // path of the network namespace
}

type networkIP struct {
	Version   string `json:"version"`
	Address   string `json:"address"`
	Interface int    `json:"interface"` // index in Interfaces
}

// newNetworkPluginCommand returns the hidden command that containerd runs for each pod (realnode_files.go). It hands everything to the
// node's first process, which outlives it.
func newNetworkPluginCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "network-plugin",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := networkRequest{
				Command:   os.Getenv("CNI_COMMAND"),
				Container: os.Getenv("CNI_CONTAINERID"),
				Namespace: os.Getenv("CNI_NETNS"),
				Interface: os.Getenv("CNI_IFNAME"),
			}
			if err := json.NewDecoder(cmd.InOrStdin()).Decode(&request.Config); err != nil {
				return fmt.Errorf("cannot read the network's configuration: %w", err)
			}
			return request.send(cmd.OutOrStdout())
		},
	}
}

// send asks for the network and writes the reply to out. It returns an error when the reply is one.
func (r networkRequest) send(out io.Writer) error {
	connection, err := net.Dial("unix", podNetworkSocket)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := json.NewEncoder(connection).Encode(r); err != nil {
		return err
	}
	var reply networkReply
	if err := json.NewDecoder(connection).Decode(&reply); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(reply); err != nil {
		return err
	}
	if reply.Code != 0 {
		return errors.New(reply.Message)
	}
	return nil
}
