package hook_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilter.dev/kilter/hook"
)

// served is a Receiver on a real listener.
func (r *receiver) served() (address string, stop func() error) {
	r.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, listener) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.Cleanup(func() {
		if err := stop(); err != nil {
			r.Error(err)
		}
	})
	return listener.Addr().String(), stop
}

func TestServe(t *testing.T) {
	r := newReceiver(t)
	target := r.add("app", secret)
	address, stop := r.served()
	do := func(method, path string) int {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = signed()
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for path, want := range map[string]int{
		"/hook/team/app": 202, "/hook/team/app/": 404, "/hook/app": 404, "/": 404, "/hook/team/..%2Fapp": 401, "/hook//app": 404,
	} {
		if got := do(http.MethodPost, path); got != want && !(want == 404 && got == 405) {
			t.Errorf("POST %s was answered %d; want %d", path, got, want)
		}
	}
	if got := do(http.MethodGet, "/hook/team/app"); got != http.StatusMethodNotAllowed {
		t.Errorf("GET was answered %d", got)
	}
	if target.fetched() != 1 {
		t.Errorf("%d fetches", target.fetched())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("it still listens")
	}
}

// 64 senders that never finish their headers and 64 that never finish their body take no place from one who does, and are gone after the
// timeouts.
func TestW1SlowLoris(t *testing.T) {
	r := newReceiver(t)
	r.add("app", secret)
	address, _ := r.served()
	var slow []net.Conn
	for i := range 128 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		slow = append(slow, conn)
		fmt.Fprint(conn, "POST /hook/team/app HTTP/1.1\r\nHost: x\r\n")
		if i%2 == 0 {
			fmt.Fprintf(conn, "X-Hub-Signature-256: sha256=%s\r\nContent-Length: 1000\r\n\r\n{", mac(secret, body))
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/hook/team/app", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = signed()
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != 202 {
		t.Fatalf("got %v, %v", answer, err)
	}
	answer.Body.Close()
	for _, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(conn); err != nil { // ends when the server hangs up
			t.Fatalf("a slow sender was not left: %v", err)
		}
	}
}

// A body of 10 GB is refused by its length, or after 1 MiB of it.
func TestW1HugeBody(t *testing.T) {
	r := newReceiver(t)
	r.add("app", secret)
	address, _ := r.served()
	for name, length := range map[string]int64{"announced": 10 << 30, "in pieces": -1} {
		sent := &counting{limit: 10 << 30}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/hook/team/app", sent)
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = length
		request.Header = signed()
		answer, err := http.DefaultClient.Do(request)
		if err == nil { // the connection may break before the answer is read
			answer.Body.Close()
			if answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: answered %d", name, answer.StatusCode)
			}
		}
		if n := sent.sent.Load(); n > 64<<20 {
			t.Errorf("%s: %d bytes were taken", name, n)
		}
	}
	if got := r.counted(hook.TooLarge); got != 2 {
		t.Errorf("%d were counted as too large", got)
	}
}

type counting struct {
	sent  atomic.Int64
	limit int64
}

func (c *counting) Read(p []byte) (int, error) {
	if c.sent.Add(int64(len(p))) > c.limit {
		return 0, io.EOF
	}
	return len(p), nil
}
