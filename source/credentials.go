package source

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// Credentials are what one attempt to fetch authenticates with. The zero value is anonymous.
type Credentials struct {
	Username, Password string // HTTP basic authentication; a token is mostly given as the password
	BearerToken        string // HTTP bearer authentication; excludes the two above
	CABundle           []byte // PEM certificates to trust instead of the system's
}

// String says which kind of credentials these are and nothing of what is in them.
func (c Credentials) String() string {
	switch {
	case c.BearerToken != "":
		return "bearer token"
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
