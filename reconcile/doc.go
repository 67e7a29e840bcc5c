// Package reconcile is the loop: it keeps a cluster as one path of a Git repository says. All cluster I/O lives here.
//
// Read pass.go first: one pass is one function, fetch → load → observe → plan → apply → prune → outcome. A pass never waits: what has
// to wait for something in the cluster is left blocked, and the watch event that ends the wait starts the next pass (loop.go). So a
// new commit overtakes every wait, and a pass over an unchanged commit and an unchanged cluster sends no request.
//
// Decisions are made by the pure packages below: diff (what to do), inventory (what is ours), health (is it where it should be).
package reconcile
