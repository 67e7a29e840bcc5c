package source_test

import (
	"bytes"
	"context"
	"crypto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// signer is a key that signs commits and tags by way of git or of our own hands.
type signer struct {
	public []byte
	args   []string                    // for git; nil when git cannot
	sign   func(payload []byte) string // for objects that git would not make
}

// sshSigner makes an SSH key, for git itself to sign with.
func sshSigner(t *testing.T, kind string) signer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	keygen := func(args ...string) {
		if said, err := exec.CommandContext(t.Context(), "ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, said)
		}
	}
	keygen("-q", "-t", kind, "-N", "", "-f", file)
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return signer{
		public: public,
		args:   []string{"-c", "gpg.format=ssh", "-c", "user.signingKey=" + file},
		sign: func(payload []byte) string {
			name := filepath.Join(t.TempDir(), "payload")
			if err := os.WriteFile(name, payload, 0o600); err != nil {
				t.Fatal(err)
			}
			keygen("-Y", "sign", "-n", "file", "-f", file, name)
			signature, err := os.ReadFile(name + ".sig")
			if err != nil {
				t.Fatal(err)
			}
			return string(signature)
		},
	}
}

// pgpSigner makes an OpenPGP key.
func pgpSigner(t *testing.T, config *packet.Config) signer {
	t.Helper()
	entity, err := openpgp.NewEntity("Ann", "", "ann@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	var public bytes.Buffer
	w, err := armor.Encode(&public, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := entity.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return signer{public: public.Bytes(), sign: func(payload []byte) string {
		var signature bytes.Buffer
		if err := openpgp.ArmoredDetachSign(&signature, entity, bytes.NewReader(payload), config); err != nil {
			t.Fatal(err)
		}
		return signature.String() + "\n"
	}}
}

// commitSigned commits a file, signed, and pushes it.
func (o *origin) commitSigned(s signer, text string) source.Commit {
	o.Helper()
	if s.args == nil {
		o.commit("a", text)
		raw := o.git("", "cat-file", "commit", "HEAD") + "\n"
		return o.pushRaw(withSignature(raw, s.sign([]byte(raw))))
	}
	o.must(o.repo.Write("a", text))
	o.git("", "add", "--all")
	o.git("", append(s.args, "commit", "--quiet", "--gpg-sign", "--message", "signed")...)
	o.must(o.repo.ForcePush(o.Context()))
	head, err := o.repo.Head(o.Context())
	o.must(err)
	return source.Commit(head)
}

// pushRaw pushes a commit written by hand.
func (o *origin) pushRaw(raw string) source.Commit {
	o.Helper()
	hash := o.git(raw, "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	o.git("", "reset", "--quiet", "--hard", hash)
	o.must(o.repo.ForcePush(o.Context()))
	return source.Commit(hash)
}

// withSignature puts a signature into a commit's header.
func withSignature(raw, signature string) string {
	header, message, _ := strings.Cut(raw, "\n\n")
	folded := strings.ReplaceAll(strings.TrimSuffix(signature, "\n"), "\n", "\n ")
	return header + "\ngpgsig " + folded + "\n\n" + message
}

func verifying(mode source.VerifyMode, keys ...[]byte) *source.Verification {
	files := map[string][]byte{}
	for i, key := range keys {
		files[string(rune('a'+i))] = key
	}
	return &source.Verification{Mode: mode, Keys: func(context.Context) (map[string][]byte, error) { return files, nil }}
}

func TestVerifyHead(t *testing.T) {
	t.Parallel()
	current := &packet.Config{DefaultHash: crypto.SHA512, Algorithm: packet.PubKeyAlgoEdDSA}
	expiring := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: 60, Time: func() time.Time { return time.Now().Add(-time.Hour) }}
	signers := map[string]signer{
		"ssh ed25519": sshSigner(t, "ed25519"), "ssh ecdsa": sshSigner(t, "ecdsa"), "ssh rsa": sshSigner(t, "rsa"),
		"openpgp": pgpSigner(t, current), "openpgp rsa": pgpSigner(t, &packet.Config{RSABits: 2048}),
	}
	stranger, pgpStranger := sshSigner(t, "ed25519"), pgpSigner(t, current)
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "0")
	open := func(keys ...[]byte) *opened {
		return o.open(source.Options{Verify: verifying(source.VerifyHead, keys...)})
	}
	for name, s := range signers {
		t.Run(name, func(t *testing.T) {
			commit := o.commitSigned(s, name)
			snapshot := open(stranger.public, pgpStranger.public, s.public).fetch()
			if snapshot.Commit != commit || content(t, snapshot, "a") != name || !strings.Contains(snapshot.Signer, " key ") {
				t.Errorf("got %s, signed by %q", snapshot.Commit, snapshot.Signer)
			}
			open(stranger.public, pgpStranger.public).refused(source.Unverified, "a key that is not among the trusted ones", string(commit[:12]))

			raw := o.git("", "cat-file", "commit", "HEAD") + "\n"
			o.pushRaw(strings.Replace(raw, "\n\n", "\n\nforged: ", 1))
			open(s.public).refused(source.Unverified, "does not fit what it signs")
			o.pushRaw(strings.Replace(raw, "\nauthor ", "\nauthor forged ", 1))
			open(s.public).refused(source.Unverified, "does not fit what it signs")
			header, _, _ := strings.Cut(raw, "\n\n")
			_, signature, _ := strings.Cut(header, "\ngpgsig ")
			o.pushRaw(strings.Replace(raw, "\n\n", "\ngpgsig "+signature+"\n\n", 1))
			open(s.public).refused(source.Unverified, "more than one signature")
		})
	}
	t.Run("not signed", func(t *testing.T) {
		o.push("a", "1")
		open(stranger.public).refused(source.Unverified, "it is not signed", "sign it with a trusted key")
	})
	t.Run("signed for something else", func(t *testing.T) {
		raw := o.git("", "cat-file", "commit", "HEAD") + "\n"
		o.pushRaw(withSignature(raw, stranger.sign([]byte(raw))))
		open(stranger.public).refused(source.Unverified, "does not fit what it signs")
	})
	t.Run("key expired", func(t *testing.T) {
		old := pgpSigner(t, expiring)
		o.commitSigned(old, "expired")
		open(old.public).refused(source.Unverified, "key expired")
	})
	t.Run("garbage as signature", func(t *testing.T) {
		o.pushRaw(withSignature(o.git("", "cat-file", "commit", "HEAD")+"\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"))
		open(stranger.public).refused(source.Unverified)
	})
}

func TestVerifyTag(t *testing.T) {
	t.Parallel()
	s, headSigner := sshSigner(t, "ed25519"), sshSigner(t, "ed25519")
	o := newOrigin(t, gitserver.Options{})
	o.push("a", "0")
	tag := func(name string, sign bool) {
		args := append(s.args, "tag", "--force", "--annotate", "--message", "release "+name)
		if sign {
			args = append(args, "--sign")
		}
		o.git("", append(args, name)...)
		o.must(o.repo.ForcePush(t.Context(), name))
	}
	open := func(mode source.VerifyMode, ref source.Ref, keys ...[]byte) *opened {
		return o.open(source.Options{Ref: ref, Verify: verifying(mode, keys...)})
	}
	tag("v1.0.0", true)
	tag("v1.0.1", false)
	o.git("", "tag", "v1.0.2")
	o.must(o.repo.Push(t.Context(), "v1.0.2"))
	o.git("", "push", "--quiet", "origin", "v1.0.0:refs/tags/v1.0.3") // an old release under a new name
	o.commitSigned(headSigner, "1")
	tag("v1.1.0", true)

	v1 := source.Ref{Tag: "v1.0.0"}
	if signer := open(source.VerifyTag, v1, s.public).fetch().Signer; !strings.HasPrefix(signer, "SSH key SHA256:") {
		t.Errorf("signed by %q", signer)
	}
	open(source.VerifyTag, v1, headSigner.public).refused(source.Unverified, "tag v1.0.0 is not trusted", "not among the trusted")
	open(source.VerifyTagAndHead, v1, s.public).refused(source.Unverified, "the commit is not trusted: it is not signed")
	open(source.VerifyTag, source.Ref{Tag: "v1.0.1"}, s.public).refused(source.Unverified, "it is not signed")
	open(source.VerifyTag, source.Ref{Tag: "v1.0.2"}, s.public).refused(source.Unverified, "lightweight")
	open(source.VerifyTag, source.Ref{Tag: "v1.0.3"}, s.public).refused(source.Unverified, "the tag v1.0.3 is signed as another one, v1.0.0")
	open(source.VerifyTagAndHead, source.Ref{SemVer: "1.1.x"}, s.public, headSigner.public).fetch()
	open(source.VerifyTagAndHead, source.Ref{Name: "refs/tags/v1.1.0"}, s.public).refused(source.Unverified, "the commit is not trusted")
	open(source.VerifyHead, source.Ref{Tag: "v1.0.1"}, s.public).refused(source.Unverified)

	for _, ref := range []source.Ref{{}, {Branch: "main"}, {Commit: source.Commit(strings.Repeat("a", 40))}, {Name: "refs/heads/main"}} {
		_, err := source.Open(source.Options{URL: o.url, AllowInsecure: true, Ref: ref, Verify: verifying(source.VerifyTag)})
		checkError(t, err, source.InvalidRef, "tags are to be verified and the ref is none")
	}
	_, err := source.Open(source.Options{URL: o.url, AllowInsecure: true, Verify: verifying("HEAD")})
	checkError(t, err, source.InvalidRef, "use head, tag or tagAndHead")
}

// A key that is withdrawn counts no more, and one that is added counts at once, though the ref has not moved.
func TestKeysAreReadAtEachFetch(t *testing.T) {
	t.Parallel()
	s, other := sshSigner(t, "ed25519"), sshSigner(t, "ed25519")
	o := newOrigin(t, gitserver.Options{})
	commit := o.commitSigned(s, "1")
	for name, ref := range map[string]source.Ref{"branch": {Branch: "main"}, "commit": {Commit: commit}} {
		t.Run(name, func(t *testing.T) {
			keys := map[string][]byte{"other.pub": other.public}
			r := o.open(source.Options{Ref: ref, Verify: &source.Verification{
				Mode: source.VerifyHead, Keys: func(context.Context) (map[string][]byte, error) { return keys, nil },
			}})
			r.refused(source.Unverified)
			keys = map[string][]byte{"other.pub": other.public, "ann.pub": s.public}
			first := r.fetch()
			o.server.Forget()
			if r.fetch() != first || len(o.server.Fetches()) != 0 {
				t.Error("the same keys were asked twice")
			}
			keys = map[string][]byte{"other.pub": other.public}
			r.refused(source.Unverified, "not among the trusted")
			keys = map[string][]byte{"ann.pub": s.public}
			r.fetch()
			for words, files := range map[string]map[string][]byte{
				"there are no keys":           {},
				"holds no key":                {"empty": []byte("# nothing\n")},
				"file odd of keys":            {"odd": []byte(canary)},
				"is no armored OpenPGP":       {"odd": []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + canary)},
				"holds a private key":         {"odd": []byte("-----BEGIN OPENSSH PRIVATE KEY-----\n" + canary)},
				"one a line and without opti": {"odd": append([]byte("ann@example.com "), s.public...)},
			} {
				keys = files
				r.refused(source.InvalidCredentials, words)
			}
		})
	}
}

// What gpg signs is trusted, and so is our reading of the keys that it exports.
func TestVerifyWhatGPGSigns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("needs gpg")
	}
	home := t.TempDir()
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
	gpg := func(args ...string) []byte {
		output, err := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", home, "--batch", "--quiet"}, args...)...).Output()
		if err != nil {
			t.Fatalf("gpg %v: %v", args, err)
		}
		return output
	}
	script := func(name, options string) string {
		file := filepath.Join(home, name)
		if err := os.WriteFile(file, []byte("#!/bin/sh\nexec gpg --homedir "+home+options+" \"$@\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return file
	}
	program, weak := script("strong", ""), script("weak", " --digest-algo SHA1")
	for _, kind := range []string{"ed25519", "rsa2048"} {
		user := kind + "@example.com"
		gpg("--passphrase", "", "--quick-generate-key", user, kind, "sign")
		s := signer{
			public: gpg("--armor", "--export", user),
			args:   []string{"-c", "gpg.program=" + program, "-c", "user.signingKey=" + user},
		}
		o := newOrigin(t, gitserver.Options{})
		o.commitSigned(s, kind)
		o.git("", append(s.args, "tag", "--sign", "--message", "release", "v1")...)
		o.must(o.repo.Push(t.Context(), "v1"))
		snapshot := o.open(source.Options{
			Ref: source.Ref{Tag: "v1"}, Verify: verifying(source.VerifyTagAndHead, gpg("--armor", "--export")),
		}).fetch()
		if !strings.HasPrefix(snapshot.Signer, "OpenPGP key ") {
			t.Errorf("signed by %q", snapshot.Signer)
		}
		s.args = []string{"-c", "gpg.program=" + weak, "-c", "user.signingKey=" + user}
		o.commitSigned(s, "weak")
		o.open(source.Options{Verify: verifying(source.VerifyHead, s.public)}).refused(source.Unverified, "SHA-1")
	}
}
