package e2e

import (
	"strings"
	"testing"

	"kilter.dev/kilter/internal/mutate"
)

// TestVerdictOnApply repeats the first entry of every list of every manifest. A POST keeps many of these; server-side apply,
// which is how they will be sent, refuses them where the list is merged by keys.
func TestVerdictOnApply(t *testing.T) {
	t.Parallel()
	ctx, c := newCluster(t)
	server := c.judge(ctx, t, "verdict-apply")
	manifests := kinds(t, server)
	for _, kind := range workloadKinds {
		manifests = append(manifests, workloads(t, kind)...)
	}
	var questions []question
	for _, m := range manifests {
		for _, change := range mutate.Sweep(m.object) {
			if change.Value == mutate.Again && strings.HasSuffix(change.Path, "[0]") {
				q, _ := m.with(t, change)
				questions = append(questions, q)
			}
		}
	}
	answers := server.compare(t, questions, applying)
	refused := 0
	for _, answer := range answers {
		if answer.Unmerged != nil {
			refused++
		}
	}
	t.Logf("%d manifests have a list that server-side apply cannot merge", refused)
	if refused < 50 {
		t.Error("that proves too little")
	}
	count(questions, answers).want(t, 300)
}
