package main

import (
	"cmp"
	"fmt"
	"strings"
)

// linkedMinor is the Kubernetes whose rules are linked in.
const linkedMinor = "1.37"

// emulate makes the rules those of another minor version.
func emulate(version string) error {
	if minor := minorOf(version); minor != linkedMinor {
		return fmt.Errorf("--kube-version %q: only %s is known", version, linkedMinor)
	}
	return nil
}

// minorOf returns the minor version that a user means by 1.37, v1.37 or 1.37.2; the linked one by nothing.
func minorOf(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(cmp.Or(version, linkedMinor), "v"), ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}
