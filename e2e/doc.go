// Package e2e holds the tests of the whole program: bin/kilter as a real process, a real Git server, and the real cluster that
// TEST_KUBECONFIG names, which `make test` starts. Every test works in namespaces of its own, so they run side by side.
package e2e
