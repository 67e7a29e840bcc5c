package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
)

// front stands before a Git server: https, a password, and whatever a server may do wrong, for as long as a test wants it to.
type front struct {
	*testing.T
	git     *gitserver.Server
	repo    *gitserver.Repo
	address string
	stop    func() // closes the listener and every connection

	password    atomic.Pointer[string]
	certificate atomic.Pointer[tls.Certificate]
	silent      atomic.Bool               // connections are accepted, and nothing is said
	fault       atomic.Pointer[httpFault] // nil: it answers as the Git server does
	looks       atomic.Int64              // lists of refs that were asked for
}

// httpFault is what a server does instead of answering, or to the answer of the real one.
type httpFault func(git http.Handler) http.HandlerFunc

func newFront(t *testing.T, password string) *front {
	t.Helper()
	f := &front{T: t, address: freeAddress(t)}
	f.password.Store(&password)
	f.newCertificate()
	var err error
	f.git, err = gitserver.Start(gitserver.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, f.git.Close()) })
	f.repo, err = f.git.Create(t.Context(), "workloads", t.TempDir())
	must(t, err)
	f.start()
	t.Cleanup(func() { f.stop() })
	return f
}

func (f *front) url() string { return "https://" + f.address + "/workloads.git" }

// start listens at the address, for the first time or again.
func (f *front) start() {
	f.Helper()
	listener, err := net.Listen("tcp", f.address)
	must(f.T, err)
	server := &http.Server{
		Handler: f, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		TLSConfig: &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.certificate.Load(), nil }},
	}
	var serving sync.WaitGroup
	mute := &muteListener{Listener: listener, silent: &f.silent}
	serving.Go(func() { _ = server.ServeTLS(mute, "", "") })
	f.stop = sync.OnceFunc(func() {
		_ = server.Close()
		mute.hangUp()
		serving.Wait()
	})
}

// ServeHTTP asks for the password first, and then does what the fault says.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/info/refs") {
		f.looks.Add(1)
	}
	if user, password, _ := r.BasicAuth(); user != "ann" || password != *f.password.Load() {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if fault := f.fault.Load(); fault != nil {
		(*fault)(f.git)(w, r)
		return
	}
	f.git.ServeHTTP(w, r)
}

// does makes the server misbehave, and returns what ends it.
func (f *front) does(fault httpFault) (mend func()) {
	f.fault.Store(&fault)
	return func() { f.fault.Store(nil) }
}

// newCertificate gives the server a certificate that it has signed itself.
func (f *front) newCertificate() {
	f.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(f.T, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(f.T, err)
	f.certificate.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

// bundle is the certificate that clients have to trust.
func (f *front) bundle() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.certificate.Load().Certificate[0]})
}

// muteListener keeps connections to itself while it is to be silent.
type muteListener struct {
	net.Listener
	silent *atomic.Bool

	mu   sync.Mutex
	held []net.Conn
}

func (l *muteListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.silent.Load() {
			return conn, err
		}
		l.mu.Lock()
		l.held = append(l.held, conn)
		l.mu.Unlock()
	}
}

func (l *muteListener) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range l.held {
		_ = conn.Close()
	}
}

// answers is a fault: one page in answer to everything, which repeats the credentials that it was given.
func answers(status int, headers ...string) httpFault {
	return func(http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(status)
			user, password, _ := r.BasicAuth()
			_, _ = io.WriteString(w, "<html>\x1b[2J you are "+user+" and your password is "+password)
		}
	}
}

// packs is a fault of what answers a request for objects: it gets the true answer.
func packs(send func(w http.ResponseWriter, r *http.Request, answer []byte)) httpFault {
	return func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				git.ServeHTTP(w, r)
				return
			}
			recorded := &recorder{header: http.Header{}}
			git.ServeHTTP(recorded, r)
			w.Header().Set("Content-Type", recorded.header.Get("Content-Type"))
			send(w, r, recorded.body.Bytes())
		}
	}
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }
func (r *recorder) WriteHeader(int)             {}

// advertised begins a list of refs, and another is one more of them.
var (
	advertised = "001e# service=git-upload-pack\n0000003d" + strings.Repeat("ab", 20) + " HEAD\x00 ofs-delta "
	another    = "0040" + strings.Repeat("ab", 20) + " refs/heads/endless\n"
)

// endlessRefs is a fault: a list of refs that never ends, in pieces of so many bytes, one after each pause.
func endlessRefs(piece int, pause time.Duration) httpFault {
	refs := strings.Repeat(another, piece/len(another)+2)
	return func(http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, err := io.WriteString(w, advertised)
			for sent := 0; err == nil && r.Context().Err() == nil; sent += piece {
				from := sent % len(another)
				_, err = io.WriteString(w, refs[from:from+piece])
				w.(http.Flusher).Flush()
				if pause > 0 {
					<-time.After(pause)
				}
			}
		}
	}
}

// noise is a text that nothing makes shorter.
func noise(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random)
	return string(random)
}

// scrape reads the page of metrics at an address, which holds no credential.
func scrape(t *testing.T, address string) samples {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	must(t, err)
	page, err := io.ReadAll(answer.Body)
	must(t, err)
	must(t, answer.Body.Close())
	if strings.Contains(string(page), canary) {
		t.Error("the metrics hold a credential")
	}
	all := samples{}
	for line := range strings.Lines(string(page)) {
		series, value, found := strings.Cut(strings.TrimSpace(line), "} ")
		if !found {
			series, value, found = strings.Cut(strings.TrimSpace(line), " ")
		}
		if number, err := strconv.ParseFloat(value, 64); found && err == nil {
			all[series] = number
		}
	}
	return all
}
