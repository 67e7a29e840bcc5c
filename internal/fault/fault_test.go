package fault

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCallOf(t *testing.T) {
	for _, c := range []struct{ method, url, content, want, namespace string }{
		{"PATCH", "/api/v1/namespaces/a/configmaps/x?fieldManager=kilter", "application/apply-patch+yaml", "apply configmaps/x", "a"},
		{"PATCH", "/apis/kilter.dev/v1alpha1/namespaces/a/syncs/shop/status", "application/merge-patch+json", "patch syncs/shop/status", "a"},
		{"PATCH", "/api/v1/namespaces/a/configmaps/x?dryRun=All", "application/apply-patch+yaml", "try configmaps/x", "a"},
		{"GET", "/apis/batch/v1/namespaces/a/jobs?watch=true", "", "watch jobs", "a"},
		{"GET", "/apis/batch/v1/namespaces/a/jobs", "", "list jobs", "a"},
		{"GET", "/api/v1/namespaces/a", "", "get namespaces/a", ""},
		{"DELETE", "/api/v1/namespaces/a/configmaps/x", "", "delete configmaps/x", "a"},
		{"GET", "/apis/batch/v1", "", "get /apis/batch/v1", ""},
		{"GET", "/team.git/info/refs?service=git-upload-pack", "", "git refs", ""},
		{"POST", "/team.git/git-upload-pack", "", "git fetch", ""},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		r.Header.Set("Content-Type", c.content)
		if got := callOf(r); got.String() != c.want || got.Namespace != c.namespace {
			t.Errorf("%s %s is %q in %q, want %q in %q", c.method, c.url, got, got.Namespace, c.want, c.namespace)
		}
	}
}

func TestParseRule(t *testing.T) {
	for _, bad := range []string{
		"apply", "apply configmaps/a", "apply configmaps/a 1..2", "apply configmaps/a sleep", "apply configmaps/a answer", "apply configmaps/a answer 200",
		"apply [ reset", "apply * reset now", "apply * delay", "apply * delay long", "apply * answer 429 retry-after=soon",
	} {
		if _, err := ParseRule(strings.Fields(bad)); err == nil {
			t.Errorf("%q is a rule", bad)
		}
	}
}

// Each kind of fault, as the client of a proxy meets it, on the second of four calls.
func TestFaults(t *testing.T) {
	const whole = "the whole answer"
	for _, c := range []struct {
		rule  string
		calls []string // what the client hears of each: the status and the body, or "lost"
		seen  int      // of four calls, by the server
	}{
		{"get * 2 answer 503 ServiceUnavailable", []string{"200 " + whole, "503 ", "200 " + whole, "200 " + whole}, 3},
		{"get * 2..3 reset", []string{"200 " + whole, "lost", "lost", "200 " + whole}, 2},
		{"get * 2.. lost", []string{"200 " + whole, "lost", "lost", "lost"}, 4},
		{"get * 2 truncate", []string{"200 " + whole, "lost", "200 " + whole, "200 " + whole}, 4},
		{"get * 2 exit", []string{"200 " + whole, "lost", "200 " + whole, "200 " + whole}, 3},
		{"get * 2 exit-after", []string{"200 " + whole, "lost", "200 " + whole, "200 " + whole}, 4},
		{"get * 2 delay 1ms", []string{"200 " + whole, "200 " + whole, "200 " + whole, "200 " + whole}, 4},
		{"list * reset", []string{"200 " + whole, "200 " + whole, "200 " + whole, "200 " + whole}, 4},
	} {
		t.Run(c.rule, func(t *testing.T) {
			seen, exits := 0, 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				seen++
				_, _ = io.WriteString(w, whole)
			}))
			defer server.Close()
			transport := NewTransport(&http.Transport{DisableKeepAlives: true})
			transport.Exit = func() { exits++ }
			proxy, err := NewProxy(server.URL, transport, false)
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			rule, err := ParseRule(strings.Fields(c.rule))
			if err != nil {
				t.Fatal(err)
			}
			transport.Inject(rule)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for i, want := range c.calls {
				if got := heard(client, proxy.URL+"/api/v1/nodes/x"); got != want && !(strings.HasSuffix(want, " ") && strings.HasPrefix(got, want)) {
					t.Errorf("call %d: %q, want %q", i+1, got, want)
				}
			}
			if seen != c.seen {
				t.Errorf("the server saw %d calls, want %d", seen, c.seen)
			}
			if wants := strings.Contains(c.rule, "exit"); (exits == 1) != wants {
				t.Errorf("the program was ended %d times", exits)
			}
			if calls := transport.Calls(); len(calls) != 4 || !calls[0].Done || calls[0].Status != 200 {
				t.Errorf("recorded: %+v", calls)
			}
		})
	}
}

func heard(client *http.Client, url string) string {
	response, err := client.Get(url)
	if err != nil {
		return "lost"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "lost"
	}
	return strings.Fields(response.Status)[0] + " " + string(body)
}

// A hanging call ends when its rule goes, and Cut ends an answer that is being read.
func TestMendAndCut(t *testing.T) {
	reading := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		close(reading)
		<-r.Context().Done()
	}))
	defer server.Close()
	transport := NewTransport(http.DefaultTransport)
	transport.Inject(Rule{Verb: "get", Object: "*", First: 1, Last: 1, Kind: Hang})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/api/v1/nodes/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		response, err := transport.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	if err := transport.Until(t.Context(), func(calls []Call) bool { return len(calls) == 1 }); err != nil {
		t.Fatal(err)
	}
	transport.Mend()
	if err := <-ended; !errors.Is(err, errReset) {
		t.Errorf("what hung ended with %v", err)
	}

	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	<-reading
	if n := transport.Cut("get", "nodes/*"); n != 1 {
		t.Errorf("cut %d answers", n)
	}
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("what was cut can be read to its end")
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}
