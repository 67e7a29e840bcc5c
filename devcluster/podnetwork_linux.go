package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// serviceAddress is the API server's for programs in pods, as KUBERNETES_SERVICE_HOST and _PORT say it.
const serviceAddress = "10.96.0.1:443"

// Addresses of the real node and its pods.
var (
	gateway  = host(net.IPv4(10, 245, 0, 1))                                      // the node's own, as pods see it
	services = &net.IPNet{IP: net.IPv4(10, 96, 0, 0), Mask: net.CIDRMask(16, 32)} // as the API server gives them (apiserver.go)
)

// host returns the network that is one address.
func host(address net.IP) *net.IPNet {
	return &net.IPNet{IP: address.To4(), Mask: net.CIDRMask(32, 32)}
}

// hostNamespace is the host's network namespace, which isolate left open for the real node's first process.
const hostNamespace = "/proc/self/fd/3"

// podNetwork is the network of the real node, in a namespace of its own, so that nothing is changed on the machine: each pod has a cable
// to the node, which sends on what goes from pod to pod, answers for Services, and is the only way out. Connections from it to the host,
// and from the host's kubelet address to it, are passed on by this process; nothing else leads in or out.
type podNetwork struct {
	plugins net.Listener

	mu   sync.Mutex
	open []io.Closer // listeners in either namespace
	last uint16      // the last pod's number, which is the end of its address
}

// servePods connects the node with the API server, and serves network plugins until close.
func servePods(port string) (*podNetwork, error) {
	if err := setUpNode(); err != nil {
		return nil, fmt.Errorf("cannot set up the node's network: %w", err)
	}
	unix.CloseOnExec(3)
	plugins, err := net.Listen("unix", podNetworkSocket)
	if err != nil {
		return nil, fmt.Errorf("cannot serve network plugins: %w", err)
	}
	n := &podNetwork{plugins: plugins}
	go acceptAll(plugins, n.answer)

	apiServer, kubelet := net.JoinHostPort("127.0.0.1", port), net.JoinHostPort(realNodeAddress, port)
	for _, address := range []string{apiServer, serviceAddress} {
		if _, err := n.lead(address, apiServer); err != nil {
			return n, err
		}
	}
	return n, inNamespace(hostNamespace, func() error {
		listener, err := net.Listen("tcp4", kubelet)
		if err != nil {
			return err
		}
		n.keep(listener)
		go acceptAll(listener, func(c net.Conn) { forward(c, func() (net.Conn, error) { return net.Dial("tcp4", kubelet) }) })
		return nil
	})
}

// lead has connections to an address of the node end at an address of the host, until the listener that it returns is closed.
func (n *podNetwork) lead(from, to string) (net.Listener, error) {
	listener, err := net.Listen("tcp4", from)
	if err != nil {
		return nil, err
	}
	n.keep(listener)
	go acceptAll(listener, func(c net.Conn) {
		forward(c, func() (server net.Conn, err error) {
			err = inNamespace(hostNamespace, func() error {
				server, err = net.Dial("tcp4", to)
				return err
			})
			return server, err
		})
	})
	return listener, nil
}

func (n *podNetwork) keep(listener io.Closer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open = append(n.open, listener)
}

func (n *podNetwork) close() {
	_ = n.plugins.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, listener := range n.open {
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
	case "DEL", "CHECK": // the kernel takes a pod's cable away with its namespace
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
		return inNamespace(request.Namespace, func() error { return setUp("lo") })
	}
	n.mu.Lock()
	n.last++
	number := n.last
	n.mu.Unlock()
	address := host(net.IPv4(10, 245, byte(number>>8)+1, byte(number)))
	if err := plug(fmt.Sprintf("pod%d", number), address, request); err != nil {
		return fmt.Errorf("cannot set up the network of pod sandbox %s: %w", request.Container, err)
	}
	reply.IPs = []networkIP{{Version: "4", Address: address.String()}}
	return nil
}

// plug lays a cable from the node to a pod. Its end at the node has the name.
func plug(name string, address *net.IPNet, request networkRequest) error {
	namespace, err := unix.Open(request.Namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(namespace)
	cable := netlink.NewVeth(netlink.LinkAttrs{Name: name})
	cable.PeerName, cable.PeerNamespace = request.Interface, netlink.NsFd(namespace)
	if err := netlink.LinkAdd(cable); err != nil {
		return err
	}
	if err := setUp(name, netlink.Route{Dst: address, Scope: netlink.SCOPE_LINK}); err != nil {
		return err
	}
	return inNamespace(request.Namespace, func() error {
		link, err := netlink.LinkByName(request.Interface)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: address}); err != nil {
			return err
		}
		all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
		return setUp(request.Interface, netlink.Route{Dst: gateway, Scope: netlink.SCOPE_LINK}, netlink.Route{Dst: all, Gw: gateway.IP})
	})
}

// setUpNode has the node answer for itself and all Services, and send on what pods send each other.
func setUpNode() error {
	own := netlink.Route{Dst: services, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := setUp("lo", own); err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: gateway}); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600)
}

// setUp brings an interface up and adds routes that lead to it.
func setUp(name string, routes ...netlink.Route) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	for _, route := range routes {
		route.LinkIndex = link.Attrs().Index
		if err := netlink.RouteAdd(&route); err != nil {
			return fmt.Errorf("route to %s: %w", route.Dst, err)
		}
	}
	return nil
}

// forward connects a client with the server that dial reaches, until both have said all.
func forward(client net.Conn, dial func() (net.Conn, error)) {
	defer client.Close()
	server, err := dial()
	if err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(server, client)
	}()
	pass(client, server)
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
