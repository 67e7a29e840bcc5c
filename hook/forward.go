package hook

import (
	"net/http"
	"net/http/httputil"
	"net/url"
)

// forwarded marks a webhook that a process that stands by has passed on. It is passed on once.
const forwarded = "X-Kilter-Forwarded"

// Forward has webhooks passed on to another process for as long as leader returns its address, "host:port"; an empty one means that this
// process answers them itself. It has to be called before Serve. Whoever works judges the signature: here, only the limits hold.
func (r *Receiver) Forward(leader func() string) {
	r.leader = leader
	r.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: leader()})
			p.Out.Header.Set(forwarded, "1")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// forward passes a webhook on, if somebody else works.
func (r *Receiver) forward(w http.ResponseWriter, request *http.Request) bool {
	if r.proxy == nil || request.Header.Get(forwarded) != "" || r.leader() == "" {
		return false
	}
	if !r.limit.Allow() || request.ContentLength > maxBody {
		return false // and is refused
	}
	request.Body = http.MaxBytesReader(w, request.Body, maxBody)
	r.proxy.ServeHTTP(w, request)
	return true
}
