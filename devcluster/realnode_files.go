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

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	certificates "k8s.io/api/certificates/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/component-helpers/node/util/sysctl"
)

// machineDir is what the real node sees as its own /run, /var/lib and /var/log, below the cluster's directory.
const machineDir = "node"

// machineLock is held by the machine for as long as there is one: it may outlive "devcluster up" by the moment that tidying up takes.
const machineLock = "node.lock"

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

// machineFile is a file of the machine.
type machineFile struct {
	path    string // below machineDir
	content []byte
	program bool // may be executed
}

// prepareRealNode empties the machine of an earlier start, and furnishes it for this one: each start is a new installation.
func prepareRealNode(dir string, ca *certAuthority, port int) error {
	lock, err := fileutil.LockFile(filepath.Join(dir, machineLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("cannot wait for the end of an earlier real node: %w", err)
	}
	defer lock.Close()
	machine := filepath.Join(dir, machineDir)
	if err := errors.Join(removeCgroups(dir), os.RemoveAll(machine)); err != nil {
		return fmt.Errorf("cannot remove what an earlier real node left: %w", err)
	}
	files, err := machineFiles(ca, port)
	if err != nil {
		return fmt.Errorf("cannot prepare the real node: %w", err)
	}
	for _, d := range machineDirs {
		if err := os.MkdirAll(filepath.Join(machine, d.own), 0o755); err != nil {
			return fmt.Errorf("cannot furnish the real node: %w", err)
		}
	}
	for _, file := range files {
		if err := file.write(machine); err != nil {
			return fmt.Errorf("cannot furnish the real node: %w", err)
		}
	}
	return nil
}

func (f machineFile) write(machine string) error {
	path := filepath.Join(machine, f.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o600)
	if f.program {
		mode = 0o700
	}
	return os.WriteFile(path, f.content, mode)
}

// machineFiles returns all that a machine has before it starts.
func machineFiles(ca *certAuthority, port int) ([]machineFile, error) {
	files, err := identityFiles(ca, port)
	if err != nil {
		return nil, err
	}
	for source, path := range map[string]string{
		"realnode/containerd.toml":  "lib/containerd/config.toml",
		"realnode/kubelet.yaml":     "lib/kubelet/config.yaml",
		"realnode/network.conflist": "lib/cni/net.d/10-devcluster.conflist",
	} {
		content, err := realNodeFiles.ReadFile(source)
		if err != nil {
			return nil, err
		}
		files = append(files, machineFile{path: path, content: content})
	}
	// The host's file may be below /run. Without one, as with an empty one, there is no name service.
	names, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files = append(files, machineFile{path: "lib/kubelet/resolv.conf", content: names})
	for name, value := range kernelSettings {
		files = append(files, machineFile{path: filepath.Join("lib/sysctl", name), content: fmt.Appendln(nil, value)})
	}
	// containerd asks for the plugin "loopback" beside the one that is configured.
	for _, plugin := range []string{"loopback", "devcluster"} {
		files = append(files, machineFile{path: filepath.Join("lib/cni/bin", plugin), content: []byte(pluginScript), program: true})
	}
	program, err := workloadProgram()
	if err != nil {
		return nil, err
	}
	images, err := imageArchive(program)
	if err != nil {
		return nil, fmt.Errorf("cannot make images of %s: %w", program, err)
	}
	return append(files, machineFile{path: "lib/images.tar", content: images}), nil
}

// identityFiles returns the kubelet's certificates, by which the API server knows it, as a server and as a client.
func identityFiles(ca *certAuthority, port int) ([]machineFile, error) {
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
	return []machineFile{
		{path: "lib/kubelet/kubeconfig", content: kubeconfig},
		{path: "lib/kubelet/pki/ca.crt", content: ca.pem},
		{path: "lib/kubelet/pki/kubelet.crt", content: server.cert},
		{path: "lib/kubelet/pki/kubelet.key", content: server.key},
	}, err
}
