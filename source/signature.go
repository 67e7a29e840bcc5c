package source

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"golang.org/x/crypto/ssh"
)

// signed is an object of Git taken apart: what was signed, and the signature; empty when there is none.
type signed struct{ payload, signature []byte }

var errTwoSignatures = errors.New("it carries more than one signature")

// signedCommit takes the signature out of a commit's header, as git does (commit.c, parse_buffer_signed_by_header).
func signedCommit(raw []byte) (s signed, err error) {
	rest := raw
	kept := false // whether the last line, and so those that continue it, belongs to the payload
	for len(rest) > 0 && rest[0] != '\n' {
		line := rest[:lineLength(rest)]
		rest = rest[len(line):]
		value, isSignature := bytes.CutPrefix(line, []byte("gpgsig "))
		switch {
		case line[0] == ' ' && kept:
			s.payload = append(s.payload, line...)
		case line[0] == ' ' && len(s.signature) > 0:
			s.signature = append(s.signature, line[1:]...)
		case isSignature && len(s.signature) > 0:
			return signed{}, errTwoSignatures
		case isSignature:
			s.signature, kept = append(s.signature, value...), false
		case bytes.HasPrefix(line, []byte("gpgsig")): // of the same commit under another hash
			return signed{}, errTwoSignatures
		default:
			s.payload, kept = append(s.payload, line...), true
		}
	}
	s.payload = append(s.payload, rest...)
	return s, nil
}

func lineLength(text []byte) int {
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		return end + 1
	}
	return len(text)
}

const (
	pgpSignature = "-----BEGIN PGP SIGNATURE-----"
	sshSignature = "-----BEGIN SSH SIGNATURE-----"
)

// signedTag takes the signature off the end of a tag, as git does (gpg-interface.c, parse_signed_buffer): the last one counts.
func signedTag(raw []byte) signed {
	end := len(raw)
	for at := 0; at < len(raw); at += lineLength(raw[at:]) {
		if bytes.HasPrefix(raw[at:], []byte(pgpSignature)) || bytes.HasPrefix(raw[at:], []byte(sshSignature)) {
			end = at
		}
	}
	return signed{payload: raw[:end], signature: raw[end:]}
}

// trust is the keys whose signatures count.
type trust struct {
	pgp openpgp.EntityList
	ssh map[string]string // fingerprint by key, as it stands in signatures
}

// add reads a file of keys: armored OpenPGP public keys, or SSH public keys, one a line.
func (t *trust) add(content []byte) error {
	const pgpKey, sealed = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "PRIVATE KEY"
	text := string(content)
	if strings.Contains(text, sealed) {
		return errors.New("holds a private key: give the public one, and make new ones")
	}
	if _, blocks, found := strings.Cut(text, pgpKey); found {
		for block := range strings.SplitSeq(blocks, pgpKey) {
			keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(pgpKey + block))
			if err != nil {
				return errors.New("is no armored OpenPGP public key, as `gpg --armor --export` writes it")
			}
			t.pgp = append(t.pgp, keys...)
		}
		return nil
	}
	found := false
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if _, certificate := key.(*ssh.Certificate); err != nil || len(options) > 0 || certificate {
			return errors.New("is neither an armored OpenPGP public key nor SSH public keys, one a line and without options")
		}
		t.ssh[string(key.Marshal())] = ssh.FingerprintSHA256(key)
		found = true
	}
	if !found {
		return errors.New("holds no key")
	}
	return nil
}

// Why a signature does not count.
var (
	errUnsigned = errors.New("it is not signed")
	errStranger = errors.New("it is signed by a key that is not among the trusted ones")
	errForged   = errors.New("its signature does not fit what it signs")
)

// check returns who has signed, as people know the key.
func (t *trust) check(s signed) (signer string, err error) {
	switch signature := bytes.TrimSpace(s.signature); {
	case len(signature) == 0:
		return "", errUnsigned
	case bytes.HasPrefix(signature, []byte(pgpSignature)):
		return t.checkPGP(s)
	case bytes.HasPrefix(signature, []byte(sshSignature)):
		return t.checkSSH(s)
	}
	return "", errors.New("its signature is neither OpenPGP nor SSH")
}

func (t *trust) checkPGP(s signed) (string, error) {
	block, err := armor.Decode(bytes.NewReader(s.signature))
	if err != nil || block.Type != openpgp.SignatureType {
		return "", errForged
	}
	signature, signer, err := openpgp.VerifyDetachedSignature(t.pgp, bytes.NewReader(s.payload), block.Body, nil)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return "", errStranger
	case errors.Is(err, pgperrors.ErrKeyExpired), errors.Is(err, pgperrors.ErrSignatureExpired), errors.Is(err, pgperrors.ErrKeyRevoked):
		return "", fmt.Errorf("it is signed, but %s", strings.TrimPrefix(err.Error(), "openpgp: "))
	case err != nil || signer == nil:
		return "", errForged
	case !strongHash(signature.Hash):
		return "", fmt.Errorf("its signature uses %s, which can be forged", signature.Hash)
	}
	return fmt.Sprintf("OpenPGP key %X", signer.PrimaryKey.Fingerprint), nil
}

func strongHash(h crypto.Hash) bool {
	switch h {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
		return true
	}
	return false
}

// What is in an SSH signature (OpenSSH's PROTOCOL.sshsig).
type (
	sshSignatureBlob struct {
		Magic     [6]byte
		Version   uint32
		PublicKey []byte
		Namespace string
		Reserved  []byte
		Hash      string
		Signature []byte
	}
	sshSignedData struct {
		Magic     [6]byte
		Namespace string
		Reserved  []byte
		Hash      string
		Digest    []byte
	}
)

func (t *trust) checkSSH(s signed) (string, error) {
	block, _ := pem.Decode(s.signature)
	if block == nil || block.Type != "SSH SIGNATURE" {
		return "", errForged
	}
	var blob sshSignatureBlob
	if err := ssh.Unmarshal(block.Bytes, &blob); err != nil || string(blob.Magic[:]) != "SSHSIG" || blob.Version != 1 {
		return "", errForged
	}
	fingerprint, known := t.ssh[string(blob.PublicKey)]
	if !known {
		return "", errStranger
	}
	if blob.Namespace != "git" { // made for something else, and shown to us
		return "", errForged
	}
	data := sshSignedData{Magic: blob.Magic, Namespace: blob.Namespace, Reserved: blob.Reserved, Hash: blob.Hash}
	switch blob.Hash {
	case "sha256":
		sum := sha256.Sum256(s.payload)
		data.Digest = sum[:]
	case "sha512":
		sum := sha512.Sum512(s.payload)
		data.Digest = sum[:]
	default:
		return "", errForged
	}
	key, err := ssh.ParsePublicKey(blob.PublicKey)
	if err != nil {
		return "", errForged
	}
	var signature ssh.Signature
	if err := ssh.Unmarshal(blob.Signature, &signature); err != nil || signature.Format == ssh.KeyAlgoRSA { // RSA with SHA-1
		return "", errForged
	}
	if key.Verify(ssh.Marshal(data), &signature) != nil {
		return "", errForged
	}
	return "SSH key " + fingerprint, nil
}
