package source

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"golang.org/x/crypto/ssh"
)

// Credentials are what one attempt to fetch authenticates with. The zero value is anonymous.
type Credentials struct {
	// Username and Password are for HTTP basic authentication; a token is mostly given as the password. Over SSH Password is the
	// passphrase of Identity, and Username has no use: the URL names the user.
	Username, Password string

	BearerToken string // HTTP bearer authentication; excludes the two above
	CABundle    []byte // PEM certificates to trust instead of the system's

	Identity   []byte // SSH: a private key, as ssh-keygen writes it (ed25519, rsa, ecdsa)
	PublicKey  []byte // SSH: its public half, or a certificate of it, as one line; may be empty
	KnownHosts []byte // SSH: the server's keys, as in ~/.ssh/known_hosts; without them nothing is connected to
}

// String says which kind of credentials these are and nothing of what is in them.
func (c Credentials) String() string {
	switch {
	case c.BearerToken != "":
		return "bearer token"
	case len(c.Identity) > 0:
		return "SSH key"
	case c.Username != "" || c.Password != "":
		return "user name and password"
	}
	return "none"
}

// GoString is String, so that %#v gives nothing away either.
func (c Credentials) GoString() string { return c.String() }

// spellings returns every form in which a server might echo the secrets: plain, quoted and as they travel.
func (c Credentials) spellings() []string {
	var all []string
	for _, secret := range []string{c.Password, c.BearerToken} {
		if secret != "" {
			all = append(all, secret, strings.Trim(strconv.Quote(secret), `"`), url.QueryEscape(secret), url.PathEscape(secret))
		}
	}
	return append(all, base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password)))
}

// auth returns what go-git adds to each request.
func (c Credentials) auth() transport.AuthMethod {
	switch {
	case c.BearerToken != "":
		return &githttp.TokenAuth{Token: c.BearerToken}
	case c.Username != "" || c.Password != "":
		return &githttp.BasicAuth{Username: c.Username, Password: c.Password}
	}
	return nil
}

// signer returns the SSH key. What cannot be read is never quoted.
func (c Credentials) signer() (ssh.Signer, *Error) {
	if len(bytes.TrimSpace(c.Identity)) == 0 {
		return nil, fail(InvalidCredentials, "give a private key as identity, and the server's known_hosts",
			"an ssh URL needs an SSH key and none is given")
	}
	signer, err := ssh.ParsePrivateKey(c.Identity)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		if c.Password == "" {
			return nil, fail(InvalidCredentials, "give its passphrase as password", "the SSH key is encrypted and no passphrase is given")
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase(c.Identity, []byte(c.Password)); errors.Is(err, x509.IncorrectPasswordError) {
			return nil, fail(InvalidCredentials, "give the right one as password", "the passphrase does not open the SSH key")
		}
	}
	if err != nil {
		return nil, fail(InvalidCredentials, "give it as ssh-keygen writes it, from the BEGIN line to the END line",
			"the SSH key cannot be read")
	}
	if len(bytes.TrimSpace(c.PublicKey)) == 0 {
		return signer, nil
	}
	return c.certified(signer)
}

// certified checks that the public half belongs to the key, and uses it when it is a certificate.
func (c Credentials) certified(signer ssh.Signer) (ssh.Signer, *Error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey(c.PublicKey)
	if err != nil {
		return nil, fail(InvalidCredentials, "give it as one line, as ssh-keygen writes it, or leave it out", "identity.pub cannot be read")
	}
	if certificate, ok := public.(*ssh.Certificate); ok {
		if signer, err = ssh.NewCertSigner(certificate, signer); err == nil {
			return signer, nil
		}
	} else if bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		return signer, nil
	}
	return nil, fail(InvalidCredentials, "give the public half of the same key, or leave it out", "identity.pub is of another key than identity")
}
