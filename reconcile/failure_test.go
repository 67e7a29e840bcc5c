package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/rest"
)

var (
	configMaps = schema.GroupResource{Resource: "configmaps"}
	jobs       = schema.GroupResource{Group: "batch", Resource: "jobs"}
)

// canary stands for a secret that a manifest holds and the server echoes: I6.
const canary = "c4n4ry-hunter2"

// What each answer of the server is taken for, and what is told of it. DESIGN §4 has the classes.
func TestNewFailure(t *testing.T) {
	path := field.NewPath("spec")
	invalid := func(errs ...*field.Error) error {
		return apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, "migrate", errs)
	}
	for _, c := range []struct {
		name   string
		err    error
		class  Class
		reason string
		text   string
	}{
		{
			"422", invalid(field.Invalid(path.Child("backoffLimit"), int64(-1), "must be greater than or equal to 0")), Terminal, "Invalid",
			"the server refuses it: spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0",
		},
		{
			"422 of two fields", invalid(field.Required(path.Child("a"), ""), field.Forbidden(path.Child("b"), "not with a")), Terminal, "Invalid",
			"the server refuses it: spec.a: Required value; spec.b: Forbidden: not with a",
		},
		{
			"422 with a comparison", invalid(field.Forbidden(path, "pod updates may not change fields\n@@ -1 +1 @@\n-  \"Value\": \""+canary+"\"")),
			Terminal, "Invalid", "the server refuses it: spec: Forbidden: pod updates may not change fields",
		},
		{
			"502 of a balancer", apierrors.NewGenericServerResponse(502, "PATCH", configMaps, "a", "<html>Bad Gateway</html>", 0, true), Transient, "InternalError",
			"the API server, or what stands before it, answered 502 Bad Gateway",
		},
		{
			"503 without a word", &apierrors.StatusError{ErrStatus: metav1.Status{Code: 503, Reason: metav1.StatusReasonServiceUnavailable}}, Transient,
			"ServiceUnavailable", "the API server, or what stands before it, answered 503 Service Unavailable",
		},
		{"422 that tells no cause", invalid(), Terminal, "Invalid", "the server refuses it as Invalid"},
		{"400", apierrors.NewBadRequest(canary), Terminal, "BadRequest", "the server refuses it as BadRequest"},
		{
			"403", apierrors.NewForbidden(jobs, "migrate", errors.New(`User "x" cannot patch resource "jobs"`)), Slow, "Forbidden",
			`jobs.batch "migrate" is forbidden: User "x" cannot patch resource "jobs"`,
		},
		{"401", apierrors.NewUnauthorized("Unauthorized"), Slow, "Unauthorized", "the API server does not accept the credentials: check the kubeconfig, or the ServiceAccount's token"},
		{
			"404 of the namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), Slow, "NotFound",
			"namespace shop does not exist: create it, or add its manifest to the repository",
		},
		{
			"404 of the kind", status(404, "NotFound", "the server could not find the requested resource"), Slow, "NotFound",
			"the server could not find the requested resource",
		},
		{
			"409", apierrors.NewConflict(configMaps, "a", errors.New("the object has been modified")), Conflict, "Conflict",
			`Operation cannot be fulfilled on configmaps "a": the object has been modified`,
		},
		{
			"413", apierrors.NewRequestEntityTooLargeError("limit is 3145728"), Terminal, "RequestEntityTooLarge",
			"Request entity too large: limit is 3145728",
		},
		{"429", apierrors.NewTooManyRequests("slow down", 1), Transient, "TooManyRequests", "slow down"},
		{
			"500 of a webhook", apierrors.NewInternalError(errors.New("failed calling webhook")), Transient, "InternalError",
			"Internal error occurred: failed calling webhook",
		},
		{
			"500 without a reason: a key given twice",
			status(500, "", `failed to create typed patch object (shop/web; apps/v1, Kind=Deployment): `+
				`.spec.template.spec.containers[name="web"].env: duplicate entries for key [name="A"]`),
			Terminal, "Invalid",
			`the server cannot merge it: spec.template.spec.containers[name="web"].env: has duplicate entries for key [name="A"]`,
		},
		{
			"500 without a reason: another type",
			status(500, "", `failed to create typed patch object (shop/a; v1, Kind=ConfigMap): .data.a: expected string, got `+canary),
			Terminal, "Invalid",
			"the server cannot merge it: data.a: must be a string",
		},
		{
			"500 without a reason: larger than etcd takes", status(500, "", "etcdserver: request is too large"), Terminal, "RequestEntityTooLarge",
			"the server cannot store it: with its managedFields, which repeat the name of every field, it is larger than etcd takes; split it",
		},
		{"403 of a webhook without a reason", status(403, "", "nobody wants it"), Slow, "Forbidden", "nobody wants it"},
		{"503", apierrors.NewServiceUnavailable("shutting down"), Transient, "ServiceUnavailable", "shutting down"},
		{
			"504", apierrors.NewTimeoutError("etcdserver: request timed out", 0), Transient, "Timeout",
			"Timeout: etcdserver: request timed out",
		},
		{
			"a kind that nothing serves", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "x.org", Kind: "W"}, SearchedVersions: []string{"v1"}},
			Slow, "UnknownKind", `no matches for kind "W" in version "x.org/v1": install its CustomResourceDefinition, or add it to the repository`,
		},
		{
			"deadline", &url.Error{Op: "Patch", URL: "https://h/" + canary, Err: context.DeadlineExceeded}, Transient, "Timeout",
			"the API server at https://h did not answer in 30s",
		},
		{
			"connection refused",
			&url.Error{Op: "Patch", URL: "https://h/" + canary, Err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}},
			Transient, "Unreachable", "cannot reach the API server at https://h: connection refused; check that it runs, and that the kubeconfig names its address",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newFailure(fmt.Errorf("wrapped: %w", c.err), "https://h")
			if got.Class != c.class || got.Reason != c.reason || got.Error() != c.text {
				t.Errorf("newFailure = %s %s\n%s\nwant %s %s\n%s", got.Class, got.Reason, got.Text, c.class, c.reason, c.text)
			}
			if again := newFailure(fmt.Errorf("wrapped: %w", got), "elsewhere"); again != got {
				t.Errorf("a Failure is not kept as it is: %+v", again)
			}
		})
	}
}

// The same answers, as client-go reads them off the wire.
func TestNewFailureOverTheWire(t *testing.T) {
	var answer http.HandlerFunc
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	cluster, err := Connect(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	send := func() *Failure {
		target := resource{gvr: schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, namespaced: true}
		_, err := cluster.apply(t.Context(), applyRequest{target: target, namespace: "shop", name: "a", body: []byte(`{}`)})
		if err == nil {
			t.Fatal("the request succeeded")
		}
		return newFailure(err, cluster.host)
	}
	answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 500, Message: "expected string, got " + canary,
		})
	}
	if f := send(); f.Class != Terminal || strings.Contains(f.Text, canary) {
		t.Errorf("500 without a reason: %+v, want Terminal", f)
	}
	answer = func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
	}
	if f := send(); f.Class != Transient {
		t.Errorf("502 of a proxy: %+v, want Transient", f)
	}
	server.Close()
	f := send()
	if f.Class != Transient || f.Reason != "Unreachable" || !strings.HasPrefix(f.Text, "cannot reach the API server at "+server.URL) ||
		!strings.Contains(f.Text, "connection refused; check that it runs") {
		t.Errorf("server gone: %+v, want Transient Unreachable", f)
	}
}

// A value that causes quote is nowhere in the Failure, whatever the cause and whatever the value's type.
func TestFailureShowsNoValue(t *testing.T) {
	path := field.NewPath("data").Key("password")
	type named string
	pointer := named(canary)
	var errs field.ErrorList
	for _, value := range []any{
		canary, named(canary), &pointer,
		[]string{canary},
		map[string]string{"password": canary},
		struct{ Password string }{canary},
		map[string]any{"spec": map[string]any{"password": canary, "other": nil}},
		"a\"b: " + canary, canary + "\n", complex(1, 2), func() {},
		map[any]any{canary: canary},
	} {
		errs = append(errs,
			field.Invalid(path, value, "is wrong"), field.Invalid(path, value, ""), field.Duplicate(path, value), field.NotFound(path, value),
			field.NotSupported(path, value, []string{"a", "b"}), field.TypeInvalid(path, value, "must be a number"),
			field.Invalid(path, value, "field is immutable"), field.TooLong(path, value, 3), field.TooMany(path, 3, 2),
		)
	}
	// The detail may repeat the value, as that of a format in a CRD's schema does.
	errs = append(errs, field.Invalid(path, canary, fmt.Sprintf("spec.until in body must be of type date-time: %q", canary)))
	err := apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "a", errs)
	if !strings.Contains(err.Error(), canary) {
		t.Fatal("the server's own text does not hold the canary: the test shows nothing")
	}
	f := newFailure(err, "h")
	if len(f.Causes) != len(errs) {
		t.Errorf("%d causes of %d are told", len(f.Causes), len(errs))
	}
	if all := fmt.Sprintf("%+v %s", f, f.Error()); strings.Contains(all, canary) {
		t.Errorf("the canary is in the Failure: %s", all)
	}
}

func TestWithoutValue(t *testing.T) {
	path := field.NewPath("x")
	selector := map[string]any{"matchLabels": map[string]string{"app": canary}}
	for _, c := range []struct {
		err  *field.Error
		want string
	}{
		{field.Invalid(path, "secret", "must be a URL"), "Invalid value: must be a URL"},
		{field.Invalid(path, "secret: must", "be a URL"), "Invalid value: be a URL"},
		{field.Invalid(path, "", "must not be empty"), "Invalid value: must not be empty"},
		{field.Invalid(path, "secret", "parsing \"secret\": the secret is no number"), "Invalid value: parsing …: the … is no number"},
		{field.Invalid(path, "a", "\"a\" must be a number"), "Invalid value: … must be a number"},
		{field.Invalid(path, "se\"cret", `parsing "se\"cret"`), "Invalid value: parsing …"},
		{field.Invalid(path, int64(-1), "must be positive"), "Invalid value: -1: must be positive"},
		{field.Invalid(path, -1, "must be positive"), "Invalid value: -1: must be positive"},
		{field.Invalid(path, true, "may not be set"), "Invalid value: true: may not be set"},
		{field.Invalid(path, nil, "must be set"), "Invalid value: null: must be set"},
		{field.Invalid(path, 1.5, ""), "Invalid value: 1.5"},
		{
			field.Invalid(path, selector, "`selector` does not match template `labels`"),
			"Invalid value: `selector` does not match template `labels`",
		},
		{field.Invalid(path, selector, "field is immutable"), "field is immutable"},
		{field.Invalid(path, "object", "an object must have a name"), "Invalid value: an object must have a name"}, // a CRD's CEL rule
		{field.Invalid(path, func() {}, "is wrong"), "Invalid value"},                                              // nobody can tell where it ends
		{field.Required(path, "must name: something"), "Required value: must name: something"},
		{field.Required(path, ""), "Required value"},
		{
			field.Forbidden(path, "field is immutable when `immutable` is set"),
			"Forbidden: field is immutable when `immutable` is set",
		},
		{field.Forbidden(path, `"spec" may not change`), `Forbidden: "spec" may not change`},
		{field.TooLong(path, canary, 253), "Too long: may not be more than 253 bytes"},
		{field.TooMany(path, 3, 2), "Too many: 3: must have at most 2 items"},
		{field.Duplicate(path, "secret"), "Duplicate value"},
		{field.NotFound(path, "secret"), "Not found"},
		{
			field.NotSupported(path, "Rolling", []string{"Recreate", "RollingUpdate"}),
			`Unsupported value: supported values: "Recreate", "RollingUpdate"`,
		},
		{field.InternalError(path, errors.New("etcd is away")), "Internal error: etcd is away"},
		{&field.Error{Type: "FieldManagerConflict", BadValue: canary}, `<unknown error "FieldManagerConflict">`},
	} {
		if got := withoutValue(metav1.CauseType(c.err.Type), c.err.ErrorBody()); got != c.want {
			t.Errorf("of %q\nremains %q,\nwant    %q", c.err.ErrorBody(), got, c.want)
		}
	}
}

// FuzzWithoutValue: a string that field.Error quotes never survives, nor does it where the detail repeats it.
func FuzzWithoutValue(f *testing.F) {
	f.Add("secret", "must be a URL", "", false)
	f.Add("sec\"ret: ", "parsing ", ": no", true)
	f.Add("sec\\ret\x00", "", "", true)
	f.Add("{\"a\":\"b\"}", "x", "y", true)
	f.Add("field is immutable", "", "field is immutable", false)
	f.Add("12345678", "1234", "5678", true)
	f.Add("pässwörd…", "", "", false)
	f.Fuzz(func(t *testing.T, value, before, after string, repeat bool) {
		for _, bad := range []*field.Error{
			field.Invalid(nil, value, detail(before, value, after, repeat)),
			field.Invalid(nil, map[string]any{"k": []string{value}}, detail(before, value, after, repeat)),
			field.Duplicate(nil, value), field.NotSupported(nil, value, []string{"a"}),
		} {
			got := withoutValue(metav1.CauseType(bad.Type), bad.ErrorBody())
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q is not one printable line", got)
			}
			// What a text of our own or of the schema happens to hold is no leak; neither is what the ellipsis puts together.
			ours := bad.Type.String() + ` field is immutable supported values: "a" object array string integer number boolean`
			plain := len(value) >= 4 && utf8.ValidString(value) && !strings.ContainsFunc(before+value+after, func(r rune) bool { return !unicode.IsPrint(r) })
			if plain && !strings.Contains(ours, value) && !strings.Contains(before+after, value) && !strings.Contains(value, "…") &&
				strings.Contains(got, value) {
				t.Fatalf("%q survives in %q of %q", value, got, bad.ErrorBody())
			}
		}
	})
}

func detail(before, value, after string, repeat bool) string {
	if repeat {
		return before + strconv.Quote(value) + after + " " + value
	}
	return before + " " + after
}

func TestMergeError(t *testing.T) {
	const (
		other  = "a field has another type than its schema says; see `kubectl explain`"
		inSet  = "a list has the same value twice, or one that it must not have"
		values = "errors:\n  .c: expected string, got " + canary + "\n  .b: duplicate entries for key [name=\"x\"]\n  .a: expected map, got " + canary
	)
	for _, c := range []struct{ name, message, want string }{
		{
			"key given twice", `x: .spec.ports: duplicate entries for key [port=80,protocol="TCP"]`,
			`spec.ports: has duplicate entries for key [port=80,protocol="TCP"]`,
		},
		{"several, with values", values, `a: must be a map; b: has duplicate entries for key [name="x"]; c: must be a string`},
		{"a set shows its value", `x: .spec.tokens: duplicate entries for key [="` + canary + `"]`, inSet},
		{"below a value of a set", `x: .spec.tokens[="` + canary + `"].a: duplicate entries for key [name="x"]`, inSet},
		{"a wrong type in a set", `x: .spec.tokens[="` + canary + `"]: expected numeric (int or float), got string`, inSet},
		{"another type", ".spec.replicas: expected numeric (int or float), got string", "spec.replicas: must be a number"},
		{"unknown field", "failed to create typed patch object (shop/w; x.org/v1, Kind=W): .spec.szie: field not declared in schema", "spec.szie: unknown field"},
		{"many", strings.Repeat("  .a: field not declared in schema\n", 7), strings.Repeat("a: unknown field; ", 5) + "and 2 more"},
		{"something else", "cannot convert " + canary, other},
		{"nothing", "", other},
	} {
		if got := mergeText(mergeCauses(c.message)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"lines", "a\r\n\tb\n", "a   b"},
		{"terminal escapes", "\x1b[2J\x1b]0;title\x07a\u009bm\x7f", "[2J ]0;title a m"},
		{"text that runs backwards", "a\u202eb\u2066c\u2028d", "a b c d"},
		{"broken UTF-8", "a\xffb", "a\ufffdb"},
		{"as long as may be", strings.Repeat("x", 500), strings.Repeat("x", 500)},
		{"too long, and cut between runes", strings.Repeat("é", 251), strings.Repeat("é", 250) + "…"},
		{"too long, cut within a rune", "x" + strings.Repeat("é", 250), "x" + strings.Repeat("é", 249) + "…"},
	} {
		if got := oneLine(c.text); got != c.want {
			t.Errorf("%s: oneLine(%q) = %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func status(code int32, reason metav1.StatusReason, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}}
}
