package reconcile

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Gatherer gathers everything: what registry holds, and the series of single objects.
func (m *Metrics) Gatherer(registry *prometheus.Registry) prometheus.Gatherer {
	return prometheus.Gatherers{registry, m.objects.registry}
}

// Handler serves everything that Gatherer gathers.
//
// There may be some ten thousand series of single objects, of five or six families. In the text format they are written one by one as they are
// found, without the copies, checks and sorting of a registry, and without compression: that is a tenth of the time. Whoever asks for
// protobuf, as Prometheus does for native histograms, gets them by the registry's way.
func (m *Metrics) Handler(registry *prometheus.Registry) http.Handler {
	whole := promhttp.HandlerFor(m.Gatherer(registry), promhttp.HandlerOpts{Registry: registry})
	syncs := promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, DisableCompression: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "protobuf") {
			whole.ServeHTTP(w, r)
			return
		}
		answer := &answer{ResponseWriter: w}
		if syncs.ServeHTTP(answer, r); answer.failed {
			return
		}
		for _, text := range m.objects.text() {
			if _, err := w.Write(text); err != nil {
				return // whoever asked has gone
			}
		}
	})
}

// answer notes whether a handler failed: then nothing may follow.
type answer struct {
	http.ResponseWriter
	failed bool
}

// WriteHeader passes a status on.
func (a *answer) WriteHeader(status int) {
	a.failed = status != http.StatusOK
	a.ResponseWriter.WriteHeader(status)
}

// text renders every family that has a series in Prometheus' text format. No label needs a quote escaped: they are names of objects, which
// Kubernetes bounds to letters, digits, dots and dashes, and words of ours.
func (m *objectMetrics) text() [][]byte {
	texts := make([][]byte, len(m.families))
	room := make([]int, len(m.families))
	m.mu.Lock()
	copy(room, m.room)
	m.mu.Unlock()
	index := make(map[*prometheus.Desc]int, len(m.families))
	for i, f := range m.families {
		index[f.desc] = i
	}
	m.each(func(desc *prometheus.Desc, value float64, labels ...string) {
		i := index[desc]
		f, b := &m.families[i], texts[i]
		if b == nil {
			b = make([]byte, 0, room[i])
			b = append(b, "# HELP "+f.Name+" "+f.Help+"\n# TYPE "+f.Name+" gauge\n"...)
		}
		b = append(append(b, f.Name...), '{')
		for n, k := range f.order {
			if n > 0 {
				b = append(b, ',')
			}
			b = append(append(b, f.Labels[k]...), `="`...)
			b = append(append(b, labels[k]...), '"')
		}
		b = append(b, "} "...)
		b = strconv.AppendFloat(b, value, 'g', -1, 64)
		texts[i] = append(b, '\n')
	})
	for i, text := range texts {
		room[i] = len(text) + len(text)/8
	}
	m.mu.Lock()
	m.room = room
	m.mu.Unlock()
	return texts
}
