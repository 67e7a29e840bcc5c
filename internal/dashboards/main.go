// Command dashboards writes Kilter's Grafana dashboards into a directory: `go run ./internal/dashboards charts/kilter/files/dashboards`, by
// `make generate`.
//
// overview.go, sync.go, workloads.go and performance.go are the dashboards, as rows of panels; board.go is what they are written in;
// grafana.go is Grafana's JSON. Each query asks Prometheus 2.42 or later, with classic or with native histograms; e2e asks a real one.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboards DIRECTORY")
		os.Exit(2)
	}
	for _, b := range boards() {
		if err := os.WriteFile(filepath.Join(os.Args[1], b.name+".json"), b.json(), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// boards are all dashboards. A name is part of the uid, which alerts and people link to: it never changes.
func boards() []board {
	return []board{overview(), oneSync(), workloads(), performance()}
}
