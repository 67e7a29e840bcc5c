package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// serviceAddress is the API server's for programs in pods, as KUBERNETES_SERVICE_HOST and _PORT say it.
const serviceAddress = "10.96.0.1:443"

// podNetwork is the network of the real node's pods: each is alone with itself and the API server. Nothing is changed on the machine:
// a pod's addresses are on the loopback interface of its own network namespace, where a socket of ours listens in the API server's name.
type podNetwork struct {
	apiServer string // its real address
	plugins   net.Listener

	mu   sync.Mutex
	pods map[string]net.Listener // by container ID of the sandbox
	last uint16                  // the last pod's number, which is the end of its address
}

// servePods serves network plugins until close.
func servePods(apiServer string) (*podNetwork, error) {
	plugins, err := net.Listen("unix", podNetworkSocket)
	if err != nil {
		return nil, fmt.Errorf("cannot serve network plugins: %w", err)
	}
	n := &podNetwork{apiServer: apiServer, plugins: plugins, pods: map[string]net.Listener{}}
	go acceptAll(plugins, n.answer)
	return n, nil
}

func (n *podNetwork) close() {
	_ = n.plugins.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, listener := range n.pods {
		_ = listener.Close()
	}
}

// acceptAll serves each connection in a goroutine of its own, until the listener is closed.
func acceptAll(listener net.Listener, serve func(net.Conn)) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go serve(connection)
	}
}

// answer does what one call of the plugin asks for.
func (n *podNetwork) answer(connection net.Conn) {
	defer connection.Close()
	var request networkRequest
	if json.NewDecoder(connection).Decode(&request) != nil {
		return // the plugin says that it had no reply
	}
	reply := networkReply{Version: request.Config.Version}
	var err error
	switch request.Command {
	case "ADD":
		err = n.add(request, &reply)
	case "DEL":
		n.delete(request.Container)
	case "CHECK":
	default:
		err = fmt.Errorf("cannot do %q", request.Command)
	}
	if err != nil {
		const tryAgainLater = 11
		reply.Code, reply.Message = tryAgainLater, err.Error()
	}
	_ = json.NewEncoder(connection).Encode(reply)
}

// add sets up a pod's network and fills in the reply.
func (n *podNetwork) add(request networkRequest, reply *networkReply) error {
	reply.Interfaces = []networkInterface{{Name: request.Interface, Sandbox: request.Namespace}}
	if request.Config.Type == "loopback" {
		return inNamespace(request.Namespace, func() error { return setUpLoopback() })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	address := net.IPv4(10, 245, byte(n.last>>8), byte(n.last))
	var listener net.Listener
	err := inNamespace(request.Namespace, func() error {
		if err := setUpLoopback(address, net.IPv4(10, 96, 0, 1)); err != nil {
			return err
		}
		var err error
		listener, err = net.Listen("tcp4", serviceAddress)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot set up the network of pod sandbox %s: %w", request.Container, err)
	}
	n.pods[request.Container] = listener
	go acceptAll(listener, n.forward)
	reply.IPs = []networkIP{{Version: "4", Address: address.String() + "/32"}}
	return nil
}

func (n *podNetwork) delete(container string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if listener := n.pods[container]; listener != nil {
		_ = listener.Close()
		delete(n.pods, container)
	}
}

// forward connects a program in a pod to the API server until both have said all.
func (n *podNetwork) forward(pod net.Conn) {
	defer pod.Close()
	server, err := net.Dial("tcp4", n.apiServer)
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(server, pod)
	}()
	pass(pod, server)
	<-done
}

// pass copies until from ends, and lets to know.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(*net.TCPConn).CloseWrite()
}

// inNamespace calls do in a network namespace. Sockets that it opens stay there.
func inNamespace(path string, do func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread must not return from there, so it ends with this goroutine
		result <- func() error {
			namespace, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(namespace)
			if err := unix.Setns(namespace, unix.CLONE_NEWNET); err != nil {
				return err
			}
			return do()
		}()
	}()
	return <-result
}

// setUpLoopback brings the loopback interface up, with these addresses beside its own.
func setUpLoopback(addresses ...net.IP) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_LOOPBACK)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, up); err != nil {
		return err
	}
	for i, address := range addresses {
		for _, setting := range []struct {
			request uint
			value   net.IP
		}{{unix.SIOCSIFADDR, address}, {unix.SIOCSIFNETMASK, net.IPv4bcast}} {
			alias, err := unix.NewIfreq(fmt.Sprintf("lo:%d", i))
			if err != nil {
				return err
			}
			if err := alias.SetInet4Addr(setting.value.To4()); err != nil {
				return err
			}
			if err := unix.IoctlIfreq(socket, setting.request, alias); err != nil {
				return err
			}
		}
	}
	return nil
}
