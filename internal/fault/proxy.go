package fault

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
)

// Proxy puts a Transport between programs and a server, at an address of its own.
type Proxy struct {
	*Transport
	URL    string
	CA     []byte // PEM, that signs for URL; nil without TLS
	server *httptest.Server
}

// NewProxy serves what is at target through t. With secure it speaks TLS and HTTP/2, as an API server does. What arrives is sent on as it is, with
// the credentials of t.Next.
func NewProxy(target string, t *Transport, secure bool) (*Proxy, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	reverse := httputil.NewSingleHostReverseProxy(to)
	reverse.Transport = t
	reverse.FlushInterval = -1 // watches
	reverse.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	p := &Proxy{Transport: t, server: httptest.NewUnstartedServer(reverse)}
	if secure {
		p.server.EnableHTTP2 = true
		p.server.StartTLS()
		p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	} else {
		p.server.Start()
	}
	p.URL = p.server.URL
	return p, nil
}

// Close ends every connection.
func (p *Proxy) Close() {
	p.Mend()
	p.server.CloseClientConnections()
	p.server.Close()
}
