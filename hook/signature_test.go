package hook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	body = `{"ref": "refs/heads/main", "commits": [{"id": "61d8e2b6"}]}`
	// The secret is a canary: it may be in no answer and no line of the log.
	secret  = "c4n4ry-s3cr3t-of-the-hook"
	signing = "whsec_dGhpcnR5LXR3byBieXRlcyBvZiBhIHNpZ25pbmcga2V5"
)

func mac(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return hex.EncodeToString(h.Sum(nil))
}

func standard(key, text string) string {
	sum, _ := hex.DecodeString(mac(key, text))
	return "v1," + base64.StdEncoding.EncodeToString(sum)
}

// sha1Of is what GitHub and Gitea still send beside the real signature.
func sha1Of(key, text string) string {
	h := hmac.New(sha1.New, []byte(key))
	h.Write([]byte(text))
	return "sha1=" + hex.EncodeToString(h.Sum(nil))
}

// What each forge sends, as its documentation has it.
func TestSignaturesOfForges(t *testing.T) {
	right, wrong := mac(secret, body), mac(secret, body+" ")
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signing, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	headers := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	gitlab := func(signature string) http.Header {
		return headers("X-Gitlab-Event", "Push Hook", "webhook-id", "f5e5f430", "webhook-timestamp", "1700000000", "webhook-signature", signature)
	}
	signed := standard(string(decoded), "f5e5f430.1700000000."+body)
	for name, c := range map[string]struct {
		header http.Header
		key    string // secret when empty
		status int
	}{
		"GitHub":                          {headers("X-GitHub-Event", "push", "X-Hub-Signature", sha1Of(secret, body), "X-Hub-Signature-256", "sha256="+right), "", 202},
		"GitHub, another body":            {headers("X-Hub-Signature-256", "sha256="+wrong), "", 401},
		"GitHub, SHA-1 alone":             {headers("X-Hub-Signature", sha1Of(secret, body)), "", 401},
		"GitHub, another secret":          {headers("X-Hub-Signature-256", "sha256="+mac("another secret of that length", body)), "", 401},
		"Gitea":                           {headers("X-Gitea-Event", "push", "X-Gitea-Signature", right), "", 202},
		"Gitea, another body":             {headers("X-Gitea-Signature", wrong), "", 401},
		"Forgejo":                         {headers("X-Forgejo-Signature", right, "X-Gitea-Signature", right), "", 202},
		"Forgejo, another body":           {headers("X-Forgejo-Signature", wrong), "", 401},
		"Bitbucket":                       {headers("X-Event-Key", "repo:push", "X-Hub-Signature", "sha256="+right), "", 202},
		"Bitbucket, another body":         {headers("X-Hub-Signature", "sha256="+wrong), "", 401},
		"generic":                         {headers("X-Signature", "sha256="+right), "", 202},
		"generic, without the algorithm":  {headers("X-Signature", right), "", 401},
		"GitLab's secret token":           {headers("X-Gitlab-Token", secret), "", 202},
		"GitLab's secret token, shorter":  {headers("X-Gitlab-Token", secret[:len(secret)-1]), "", 401},
		"GitLab's secret token, longer":   {headers("X-Gitlab-Token", secret+"x"), "", 401},
		"GitLab's signing token":          {gitlab(signed), signing, 202},
		"GitLab's signing token, changed": {gitlab(standard("the old one", "x") + " " + signed), signing, 202},
		"GitLab's signing token, undecoded": {
			gitlab(standard(signing, "f5e5f430.1700000000."+body)), signing, 401,
		},
		"GitLab's signing token, body alone": {gitlab(standard(string(decoded), body)), signing, 401},
		"GitLab's signing token, version 2":  {gitlab("v2" + strings.TrimPrefix(signed, "v1")), signing, 401},
		"signed with the empty key":          {headers("X-Hub-Signature-256", "sha256="+mac("", body)), "", 401},
		"an empty token":                     {headers("X-Gitlab-Token", ""), "", 401},
		"half a signature":                   {headers("X-Hub-Signature-256", "sha256="+right[:32]), "", 401},
		"no signature at all":                {headers("X-GitHub-Event", "push"), "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			key := secret
			if c.key != "" {
				key = c.key
			}
			target := r.add("app", key)
			if got := r.post("app", body, c.header); got != c.status {
				t.Errorf("answered %d; want %d", got, c.status)
			}
			if want := map[int]int{202: 1, 401: 0}[c.status]; target.fetched() != want {
				t.Errorf("%d fetches; want %d", target.fetched(), want)
			}
		})
	}
}

// The example of GitHub's documentation, so that not only our own arithmetic agrees with itself.
func TestGitHubsOwnExample(t *testing.T) {
	r := newReceiver(t)
	target := r.add("app", "It's a Secret to Everybody")
	header := http.Header{}
	header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	if got := r.post("app", "Hello, World!", header); got != 202 || target.fetched() != 1 {
		t.Errorf("answered %d", got)
	}
}

// Whatever a stranger sends: nobody panics, nothing is fetched unless the signature is right, and the secret is in no text.
func FuzzRequest(f *testing.F) {
	f.Add("X-Hub-Signature-256", "sha256="+mac(secret, body), []byte(body))
	f.Add("X-Gitlab-Token", secret, []byte(body))
	f.Add("X-Gitlab-Token", "", []byte(nil))
	f.Add("Webhook-Signature", standard(secret, ".."+body)+" v1,AAAA", []byte(body))
	f.Add("X-Hub-Signature", "sha1=00", []byte("{"))
	f.Add("X-Gitea-Signature", strings.Repeat("0", 64), []byte(strings.Repeat("[", 1<<10)))
	f.Fuzz(func(t *testing.T, name, value string, content []byte) {
		r := newReceiver(t)
		target := r.add("app", secret)
		header := http.Header{http.CanonicalHeaderKey(name): {value}}
		status := r.post("app", string(content), header)
		right := map[string]bool{
			"X-Hub-Signature-256": value == "sha256="+mac(secret, string(content)),
			"X-Hub-Signature":     value == "sha256="+mac(secret, string(content)),
			"X-Signature":         value == "sha256="+mac(secret, string(content)),
			"X-Gitea-Signature":   value == mac(secret, string(content)),
			"X-Forgejo-Signature": value == mac(secret, string(content)),
			"Webhook-Signature":   strings.Contains(value, standard(secret, ".."+string(content))),
			"X-Gitlab-Token":      value == secret,
		}[http.CanonicalHeaderKey(name)]
		if fetched := target.fetched() == 1; fetched != (status == 202) || fetched && !right && !strings.EqualFold(value, "sha256="+mac(secret, string(content))) &&
			!strings.EqualFold(strings.TrimPrefix(value, "sha256="), mac(secret, string(content))) {
			t.Error(fmt.Sprintf("%s: %q", name, value), "answered", status, "fetched", fetched)
		}
		if status != 202 && status != 401 && status != 413 {
			t.Errorf("answered %d", status)
		}
		if right && status != 202 {
			t.Errorf("a right signature was answered %d", status)
		}
	})
}
