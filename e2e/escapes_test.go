package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kilter.dev/kilter/api/v1alpha1"
)

// escape clears a terminal, writes its title, turns the reading direction round, and begins a line that looks like one of Kilter's. The
// 8-bit control character is one that JSON leaves as it is.
const escape = "\x1b[2J\x1b]0;title\x07\u009b31m\u202e\r\ncreated    Secret kube-system/fake"

// harmless fails the test when a text holds what a terminal would not simply print. Lines may end.
func harmless(t *testing.T, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || strings.HasPrefix(line, "created    Secret") {
			t.Errorf("%s would disturb a terminal: %q", what, line)
		}
	}
}

// harmlessIn wants the same of every string that JSON holds, in which no line ends.
func harmlessIn(t *testing.T, what string, document []byte) {
	t.Helper()
	var visit func(any)
	visit = func(value any) {
		switch value := value.(type) {
		case string:
			harmless(t, "a string of "+what, strings.ReplaceAll(value, "\n", "\x00"))
		case []any:
			for _, each := range value {
				visit(each)
			}
		case map[string]any:
			for key, each := range value {
				visit(key)
				visit(each)
			}
		}
	}
	var value any
	must(t, json.Unmarshal(document, &value))
	visit(value)
}

// TestTerminalEscapes has them wherever others say what Kilter prints: in the message of a commit, the names of a branch, of files and of
// objects, fields, and the API server's answers. They come out in no log, of text or of JSON, no status, Event or metric.
func TestTerminalEscapes(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	ns := c.namespace(t, "escapes")
	c.deny(ctx, t, ns, "nobody"+escape)
	repo, url := repository(t, fstest.MapFS{
		"prod/fine.yaml":     configMap("fine"),
		"prod/unwanted.yaml": configMap("unwanted"),
		"prod/odd.yaml":      file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {key: \"\\u007f\\u0085\\u009b\\ufeff\\uffff\"}\n"),
	})
	branch := "b\u009b31m\u202e"
	must(t, second(repo.Git(ctx, "commit", "--allow-empty", "-m", "Say"+escape)))
	must(t, second(repo.Git(ctx, "branch", branch)))
	must(t, second(repo.Git(ctx, "push", "origin", branch)))

	ofObject, ofFile := freeAddress(t), freeAddress(t)
	object, sync := c.follow(ctx, t, ns, url, "  invalid: SkipObject\n", "--log-format", "json", "--log-level", "debug", "--listen", ofObject)
	line(ctx, t, object, `"msg":"failed"`, "unwanted")
	odd, err := c.CoreV1().ConfigMaps(ns).Get(ctx, "odd", metav1.GetOptions{})
	must(t, err)
	if want := "\u007f\u0085\u009b\ufeff\uffff"; odd.Data["key"] != want {
		t.Errorf("the ConfigMap holds %+q, want %+q", odd.Data["key"], want)
	}
	must(t, sync.Client.Patch(types.MergePatchType).Namespace(ns).Resource(sync.Resource).Name(sync.Name).
		Body(fmt.Appendf(nil, `{"spec":{"git":{"ref":{"branch":%q}}}}`, branch)).Do(ctx).Error())
	other := filepath.Join(t.TempDir(), "sync.yaml")
	must(t, os.WriteFile(other, []byte(strings.NewReplacer("name: e2e", "name: other", "branch: main", fmt.Sprintf("branch: %q", branch)).Replace(
		fmt.Sprintf(syncDocument, ns, url, "  invalid: SkipObject\n"))), 0o600))
	text := kilter(t, "run", "-f", other, "--kubeconfig", c.kubeconfig, "--allow-insecure-git", "--log-level", "debug", "--listen", ofFile)
	line(ctx, t, text, "failed", "unwanted", "nobody")

	// Names and fields that no server takes, and then a file that is refused by its name alone.
	name := fmt.Sprintf("%q", "x"+escape)
	must(t, repo.Write("prod/name.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\n"))
	must(t, repo.Write("prod/field.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: field}\n"+name+": 1\n"))
	must(t, repo.Write("prod/kind.yaml", "apiVersion: v1\nkind: "+name+"\nmetadata: {name: kind}\n"))
	push(t, repo)
	must(t, second(repo.Git(ctx, "push", "--force", "origin", "HEAD:refs/heads/"+branch)))
	line(ctx, t, object, `"msg":"rejected"`)
	line(ctx, t, text, "rejected")
	rejected := untilReason(ctx, t, sync, "CommitRejected")
	exposed := scraped(t, ofObject) + scraped(t, ofFile)
	must(t, repo.Write("prod/a\x1b[2J\u009b.yaml", string(configMap("b").Data)))
	push(t, repo)
	must(t, second(repo.Git(ctx, "push", "origin", "HEAD:refs/heads/"+branch)))
	unread := untilReason(ctx, t, sync, "FetchFailed")
	line(ctx, t, text, "FetchFailed")
	must(t, object.Stop(patience))
	must(t, text.Stop(patience))

	harmless(t, "the log", text.Output())
	harmless(t, "the JSON log", object.Output())
	harmless(t, "the metrics", exposed)
	for record := range strings.Lines(object.Output()) {
		harmlessIn(t, "the JSON log", []byte(record))
	}
	for _, s := range []*v1alpha1.Sync{rejected, unread} {
		status, err := json.Marshal(s.Status)
		must(t, err)
		harmlessIn(t, "the status", status)
	}
	if len(rejected.Status.Problems) < 3 {
		t.Errorf("the status has %d problems", len(rejected.Status.Problems))
	}
	events, err := c.CoreV1().Events(ns).List(ctx, metav1.ListOptions{})
	must(t, err)
	if len(events.Items) == 0 {
		t.Error("there are no Events")
	}
	for _, e := range events.Items {
		harmless(t, "the Event "+e.Reason, e.Message)
	}
}

// scraped returns all that /metrics says.
func scraped(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	must(t, err)
	return string(all)
}
