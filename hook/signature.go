package hook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strings"
)

// signatures are what the headers of one request offer as proof. One that is right is enough: a forge sends several for the sake of older
// receivers, and which of them are there is for the sender to say. None of them is an HMAC with SHA-1.
//
//	header                       sent by                              holds
//	X-Hub-Signature-256          GitHub, Gitea, Forgejo               sha256=<hex>
//	X-Hub-Signature              Bitbucket Cloud and Data Center      sha256=<hex> (of others sha1=…, which does not count)
//	X-Gitea-Signature            Gitea, Forgejo                       <hex>
//	X-Forgejo-Signature          Forgejo                              <hex>
//	X-Signature                  anything                             sha256=<hex>
//	webhook-signature            GitLab's signing token, by the       v1,<base64> v1,<base64> …
//	                             Standard Webhooks specification
//	X-Gitlab-Token               GitLab's secret token                the secret itself
//
// Each hex and base64 is HMAC-SHA256 of the body. The specification's is of "<webhook-id>.<webhook-timestamp>.<body>", and its key is what
// the base64 in whsec_<base64> stands for. The timestamp is not compared with the clock: a replay can do no more than any webhook.
type signatures struct {
	body     [][]byte // HMACs of the body
	standard [][]byte // HMACs of prefix and body
	prefix   string
	token    string
}

// maxStandard bounds the signatures of one header: a sender has more than one only while its key is being changed.
const maxStandard = 8

func signaturesOf(header http.Header) signatures {
	s := signatures{token: header.Get("X-Gitlab-Token")}
	for _, name := range []string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Signature"} {
		if text, found := strings.CutPrefix(header.Get(name), "sha256="); found {
			s.addHex(text)
		}
	}
	for _, name := range []string{"X-Gitea-Signature", "X-Forgejo-Signature"} {
		s.addHex(header.Get(name))
	}
	s.prefix = header.Get("Webhook-Id") + "." + header.Get("Webhook-Timestamp") + "."
	for text := range strings.FieldsSeq(header.Get("Webhook-Signature")) {
		encoded, found := strings.CutPrefix(text, "v1,")
		if mac, err := base64.StdEncoding.DecodeString(encoded); found && err == nil && len(mac) == sha256.Size && len(s.standard) < maxStandard {
			s.standard = append(s.standard, mac)
		}
	}
	return s
}

func (s *signatures) addHex(text string) {
	if mac, err := hex.DecodeString(text); err == nil && len(mac) == sha256.Size {
		s.body = append(s.body, mac)
	}
}

// none reports whether there is nothing that could be right.
func (s signatures) none() bool { return len(s.body) == 0 && len(s.standard) == 0 && s.token == "" }

// valid reports whether one of the signatures was made with the secret, which is not empty. It reads the body without keeping it, in constant memory, and
// compares in a time that does not depend on what is compared. An error is the body's: nothing is valid then.
func (s signatures) valid(secret []byte, body io.Reader) (bool, error) {
	plain := hmac.New(sha256.New, secret)
	macs := []io.Writer{plain}
	var standard hash.Hash
	if len(s.standard) > 0 {
		standard = hmac.New(sha256.New, standardKey(secret))
		_, _ = io.WriteString(standard, s.prefix) // a hash never fails
		macs = append(macs, standard)
	}
	if _, err := io.Copy(io.MultiWriter(macs...), body); err != nil {
		return false, err
	}
	// Hashed, so that the time tells nothing of the secret's length either.
	given, want := sha256.Sum256([]byte(s.token)), sha256.Sum256(secret)
	valid := subtle.ConstantTimeCompare(given[:], want[:]) == 1
	for _, mac := range s.body {
		valid = hmac.Equal(mac, plain.Sum(nil)) || valid
	}
	for _, mac := range s.standard {
		valid = hmac.Equal(mac, standard.Sum(nil)) || valid
	}
	return valid, nil
}

// standardKey is the key of the Standard Webhooks specification. A secret that is not written as its says is the key itself.
func standardKey(secret []byte) []byte {
	if encoded, found := bytes.CutPrefix(secret, []byte("whsec_")); found {
		if key, err := base64.StdEncoding.DecodeString(string(encoded)); err == nil && len(key) >= MinSecret {
			return key
		}
	}
	return secret
}
