package main

import "slices"

// measure is one thing that is measured.
type measure struct {
	id    string
	group string // of -measures
	title string
	unit  string // "s", "ms", "MB", or empty for a number of requests
	limit string // the id of the measure that it cannot be below; empty for limits themselves
	promise
}

// promise is what Kilter must reach; nil fields promise nothing.
type promise struct {
	most, mostAt10000 *float64 // in the measure's unit
	ratio             *float64 // to the limit
	exponent          *float64 // of its growth with the number of objects
}

// The raw limits that several measures are compared with.
const (
	rawApply      = "raw-apply"
	rawServerCPU  = "raw-server-cpu"
	fetchAndPatch = "fetch-and-patch"
)

// groupNames are the values of -measures.
func groupNames() []string {
	var names []string
	for _, m := range measures() {
		if !slices.Contains(names, m.group) {
			names = append(names, m.group)
		}
	}
	return names
}

// measures returns everything that is measured, in the order of the tables.
func measures() []measure {
	most := func(x float64) *float64 { return &x }
	return []measure{
		{"first-apply", "apply", "first apply", "s", rawApply, promise{ratio: most(1.2)}},
		{"first-apply-cpu", "apply", "first apply: its processor time", "s", "", promise{}},
		{"first-apply-server-cpu", "apply", "first apply: the API server's processor time", "s", rawServerCPU, promise{}},
		{"first-apply-requests", "apply", "first apply: requests", "", "", promise{}},
		{rawApply, "apply", "limit: apply the same bodies, at the best number in flight", "s", "", promise{}},
		{rawServerCPU, "apply", "limit: the API server's processor time for that", "s", "", promise{}},

		{"push", "push", "one object changed, push to applied", "ms", fetchAndPatch, promise{most: most(50), ratio: most(2), exponent: most(0.2)}},
		{"push-requests", "push", "one object changed: requests", "", "", promise{}},
		{fetchAndPatch, "push", "limit: git fetch and one PATCH", "ms", "", promise{}},
		{"git-fetch", "push", "limit: git fetch", "ms", "", promise{}},
		{"git-ls-remote", "push", "limit: git ls-remote", "ms", "", promise{}},
		{"patch", "push", "limit: PATCH to watch event", "ms", "", promise{}},

		{"drift-edit", "drift", "drift repaired: an edit", "ms", "repair-edit", promise{most: most(25), ratio: most(2)}},
		{"drift-delete", "drift", "drift repaired: a deletion", "ms", "repair-delete", promise{most: most(25), ratio: most(2)}},
		{"drift-many", "drift", "drift repaired: edits of 1% at once", "ms", "repair-many", promise{ratio: most(2)}},
		{"repair-edit", "drift", "limit: an edit, its event, one PATCH, its event", "ms", "", promise{}},
		{"repair-delete", "drift", "limit: the same of a deletion", "ms", "", promise{}},
		{"repair-many", "drift", "limit: the same of edits of 1% at once", "ms", "", promise{}},

		{"restart", "restart", "restart, nothing changed: process start to ready", "s", "", promise{}},
		{"restart-requests", "restart", "restart: requests", "", "", promise{}},
		{"restart-writes", "restart", "restart: writes", "", "", promise{most: most(0)}},

		{"rest-requests", "rest", "nothing changed, one look: requests", "", "", promise{most: most(0)}},
		{"rest-cpu", "rest", "nothing changed, one look: its processor time", "ms", "", promise{most: most(10)}},

		{"churn-requests", "churn", "50 status updates a second: requests a second", "", "", promise{most: most(0)}},
		{"churn-cpu", "churn", "50 status updates a second: its processor time a second", "ms", "", promise{}},

		{"memory", "memory", "peak memory", "MB", "", promise{most: most(100), mostAt10000: most(160)}},
	}
}
