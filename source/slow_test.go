package source_test

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"kilter.dev/kilter/internal/gitserver"
	"kilter.dev/kilter/source"
)

// slow sends what is written to it in pieces, one a tick.
type slow struct {
	http.ResponseWriter
	request *http.Request
	piece   int
	tick    time.Duration
}

func (w slow) Write(p []byte) (int, error) {
	ticks := time.NewTicker(w.tick)
	defer ticks.Stop()
	sent := 0
	for sent < len(p) {
		select {
		case <-ticks.C:
		case <-w.request.Context().Done():
			return sent, w.request.Context().Err()
		}
		n, err := w.ResponseWriter.Write(p[sent:min(len(p), sent+w.piece)])
		sent += n
		if err != nil {
			return sent, err
		}
		w.ResponseWriter.(http.Flusher).Flush()
	}
	return sent, nil
}

// A slow server is waited for as long as the timeout allows, and no longer although it never stops sending.
func TestG2SlowServer(t *testing.T) {
	t.Parallel()
	o := newOrigin(t, gitserver.Options{})
	noise := make([]byte, 20<<10)
	_, err := rand.Read(noise)
	o.must(err)
	o.push("a", hex.EncodeToString(noise))
	piece := 4 << 10
	o.behind(func(git http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			git.ServeHTTP(slow{w, r, piece, 20 * time.Millisecond}, r)
		}
	})
	r := o.open(source.Options{})
	if got := content(t, r.fetch(), "a"); len(got) != 40<<10 {
		t.Errorf("read %d bytes", len(got))
	}

	piece = 1
	began := time.Now()
	impatient := o.open(source.Options{Timeout: time.Second})
	refused := impatient.refused(source.Timeout, "did not finish in time (timeout 1s)")
	if took := time.Since(began); took > 5*time.Second || !refused.err.Transient() {
		t.Errorf("it ended after %s, transient %v", took, refused.err.Transient())
	}
	piece = 4 << 10
	impatient.fetch()
}
