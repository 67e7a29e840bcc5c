package reconcile

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kilter.dev/kilter/api/v1alpha1"
	"kilter.dev/kilter/internal/phrase"
	"kilter.dev/kilter/manifests"
	"kilter.dev/kilter/reconcile/diff"
	"kilter.dev/kilter/reconcile/health"
)

// masked stands in a log for a value of a Secret.
const masked = "***"

// lastWords is how long after a run has ended, and its end was put on record, it is still asked for its last container: by a Kilter that came to
// its own end in between. Later there is nothing to find that an earlier one has not found, and a restart asks for none of all the Jobs that
// have ended long ago.
const lastWords = 10 * time.Minute

// tell puts on record how the last container of a run ended and what it said last, beside the passes: a kubelet may take its time, and pods
// go with their Job.
func (l *Loop) tell(ctx context.Context, record manifests.ID, run diff.Run, job *diff.Live) {
	goesOn := job.Job.Outcome == "" && job.Health.Word != health.Failed
	over := run.Outcome != "" && l.clock().Sub(job.Job.Finished) > lastWords
	if run.Told || goesOn || !l.ledger.asks(record, over) {
		return
	}
	secrets := secretValues(l.set)
	l.ledger.asking.Go(func() {
		// The end of the loop does not cut this off at once: the pods may be gone when the next one begins.
		ctx, cancel := outliving(ctx, askTimeout)
		defer cancel()
		end, log, err := l.ledger.lastContainer(ctx, job)
		if err != nil || end == nil && job.Job.Outcome == "" {
			l.ledger.asksAgain(record)
			l.observer.renew(record) // the next pass may find more
			return
		}
		if end == nil {
			return // there is nothing to tell; the outcome stands without it
		}
		status := v1alpha1.JobRunStatus{Container: &end.ContainerEnd, Log: mask(log, secrets)}
		if written, err := l.ledger.settle(ctx, record.Namespace, record.Name, status); err == nil {
			l.observer.wrote(written)
		}
	})
}

// asks notes that a run's last container is being asked for, and reports whether nobody had. That of one which is over is asked for only when
// that was tried before, in vain.
func (g *ledger) asks(record manifests.ID, over bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked, tried := g.telling[record]
	if asked || over && !tried {
		return false
	}
	g.telling[record] = true
	return true
}

// asksAgain notes that a run's last container was asked for in vain.
func (g *ledger) asksAgain(record manifests.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.telling[record] = false
}

// mask makes a log fit to be kept: without the values of Secrets, printable, and not longer than is promised.
func mask(log []byte, secrets []string) string {
	hide := hider(secrets)
	var lines []string
	for line := range strings.Lines(hide(string(log))) {
		lines = append(lines, phrase.Printable(strings.TrimRight(line, "\r\n")))
	}
	// What was made printable may have become a value of a Secret, and no cut may take away the start of one before it is masked.
	lines = strings.Split(hide(strings.Join(lines, "\n")), "\n")
	text := strings.Join(lines[max(0, len(lines)-logLines):], "\n")
	if len(text) > logBytes {
		text = text[len(text)-logBytes:]
		if _, rest, found := strings.Cut(text, "\n"); found {
			text = rest // begin with a whole line
		}
	}
	return strings.ToValidUTF8(text, "")
}

// hider returns a function that masks values until none is left: a mask may stand in the middle of another one.
func hider(secrets []string) func(string) string {
	pairs := make([]string, 0, 2*len(secrets))
	for _, value := range secrets {
		pairs = append(pairs, value, masked)
	}
	replacer := strings.NewReplacer(pairs...)
	return func(text string) string {
		for { // a mask is shorter than what it stands for
			hidden := replacer.Replace(text)
			if hidden == text {
				return text
			}
			text = hidden
		}
	}
}

// shortest is the least that a value of a Secret has to have to be masked: shorter ones are in every text.
const shortest = 4

// secretValues returns what must not be seen in a log: every value of the set's Secrets, the lines of those that have several, and what they
// are in base64; the longest first.
func secretValues(set *manifests.Set) []string {
	var values []string
	add := func(value string) {
		for _, text := range append(strings.Split(value, "\n"), value, base64.StdEncoding.EncodeToString([]byte(value))) {
			switch trimmed := strings.TrimSpace(text); {
			case len(trimmed) >= shortest:
				values = append(values, trimmed)
			case len(text) >= shortest && trimmed != "":
				values = append(values, text)
			}
		}
	}
	for _, object := range set.Objects {
		if object.ID.Kind != "Secret" || object.ID.Group != "" {
			continue
		}
		var secret corev1.Secret
		if err := json.Unmarshal(object.JSON, &secret); err != nil {
			continue
		}
		for _, value := range secret.Data {
			add(string(value))
		}
		for _, value := range secret.StringData {
			add(value)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return slices.Compact(values)
}
