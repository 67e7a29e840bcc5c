package main

import (
	"crypto/x509/pkix"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	certificates "k8s.io/api/certificates/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/component-helpers/node/util/sysctl"
)

// machineDir is what the real node sees as its own /run, /var/lib and /var/log, below the cluster's directory.
const machineDir = "node"

// machineDirs are the directories that the real node has to itself: in machineDir, and where it sees them.
var machineDirs = []struct{ own, seen string }{{"run", "/run"}, {"lib", "/var/lib"}, {"log", "/var/log"}}

//go:embed realnode/*
var realNodeFiles embed.FS

// kernelSettings are what a kubelet wants below /proc/sys, and sets for the whole machine if it finds anything else. So it finds these.
var kernelSettings = map[string]int{
	sysctl.VMOvercommitMemory: sysctl.VMOvercommitMemoryAlways,
	sysctl.VMPanicOnOOM:       sysctl.VMPanicOnOOMInvokeOOMKiller,
	sysctl.KernelPanic:        sysctl.KernelPanicRebootTimeout,
	sysctl.KernelPanicOnOops:  sysctl.KernelPanicOnOopsAlways,
	sysctl.RootMaxKeys:        sysctl.RootMaxKeysSetting,
	sysctl.RootMaxBytes:       sysctl.RootMaxBytesSetting,
}

// pluginScript is a network plugin: this program, which is the node's first process.
const pluginScript = "#!/bin/sh\nexec /proc/1/exe network-plugin\n"

// prepareRealNode empties the machine of an earlier start, and furnishes it for this one: each start is a new installation.
func prepareRealNode(dir string, ca *certAuthority, port int) error {
	machine := filepath.Join(dir, machineDir)
	if err := removeCgroups(dir); err != nil {
		return fmt.Errorf("cannot remove what an earlier real node left: %w", err)
	}
	if err := os.RemoveAll(machine); err != nil {
		return fmt.Errorf("cannot remove what an earlier real node left: %w", err)
	}
	files, err := identityFiles(ca, port)
	if err != nil {
		return fmt.Errorf("cannot issue certificates for the real node: %w", err)
	}
	for path, source := range map[string]string{
		"lib/containerd/config.toml":           "realnode/containerd.toml",
		"lib/kubelet/config.yaml":              "realnode/kubelet.yaml",
		"lib/cni/net.d/10-devcluster.conflist": "realnode/network.conflist",
	} {
		if files[path], err = realNodeFiles.ReadFile(source); err != nil {
			return err
		}
	}
	// The machine's own may be below /run; without one, as with one that is empty, there is no name service.
	if files["lib/kubelet/resolv.conf"], err = os.ReadFile("/etc/resolv.conf"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot copy the name service's configuration: %w", err)
	}
	for name, value := range kernelSettings {
		files[filepath.Join("lib/sysctl", name)] = []byte(strconv.Itoa(value) + "\n")
	}
	program, err := workloadProgram()
	if err != nil {
		return err
	}
	if files["lib/images.tar"], err = imageArchive(program); err != nil {
		return fmt.Errorf("cannot make images of %s: %w", program, err)
	}
	for path, content := range files {
		if err := writeFile(filepath.Join(machine, path), content, 0o600); err != nil {
			return fmt.Errorf("cannot furnish the real node: %w", err)
		}
	}
	// containerd asks for the plugin "loopback" beside the one that is configured.
	for _, plugin := range []string{"loopback", "devcluster"} {
		if err := writeFile(filepath.Join(machine, "lib/cni/bin", plugin), []byte(pluginScript), 0o700); err != nil {
			return fmt.Errorf("cannot furnish the real node: %w", err)
		}
	}
	for _, d := range machineDirs {
		if err := os.MkdirAll(filepath.Join(machine, d.own), 0o755); err != nil {
			return fmt.Errorf("cannot furnish the real node: %w", err)
		}
	}
	return nil
}

// identityFiles returns the kubelet's certificates, by which the API server knows it, as a server and as a client.
func identityFiles(ca *certAuthority, port int) (map[string][]byte, error) {
	user := "system:node:" + realNode
	server, err := ca.issue(certificates.UsageServerAuth, pkix.Name{CommonName: user}, nil, []net.IP{net.ParseIP(realNodeAddress)})
	if err != nil {
		return nil, err
	}
	client, err := ca.issue(certificates.UsageClientAuth, pkix.Name{CommonName: user, Organization: []string{"system:nodes"}}, nil, nil)
	if err != nil {
		return nil, err
	}
	credentials := &clientcmdapi.AuthInfo{ClientCertificateData: client.cert, ClientKeyData: client.key}
	kubeconfig, err := clientcmd.Write(*newKubeconfig("https://127.0.0.1:"+strconv.Itoa(port), ca.pem, user, credentials))
	return map[string][]byte{
		"lib/kubelet/kubeconfig":      kubeconfig,
		"lib/kubelet/pki/ca.crt":      ca.pem,
		"lib/kubelet/pki/kubelet.crt": server.cert,
		"lib/kubelet/pki/kubelet.key": server.key,
	}, err
}

func writeFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}
