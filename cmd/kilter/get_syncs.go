package main

import (
	"context"
	"strconv"

	"kilter.dev/kilter/reconcile/view"
)

// getSyncs lists what is kept in sync, from Sync objects and from files.
func getSyncs(ctx context.Context, o *getOptions) error {
	sets, err := o.reader.Sets(ctx, o.where())
	if err != nil {
		return err
	}
	states := make([]view.State, len(sets))
	for i, set := range sets {
		states[i] = set.State()
	}
	return show(o, listing[view.State]{
		kind: "syncs", rows: states,
		key:    func(s view.State) (namespace, name string) { return s.Namespace, s.Name },
		header: []string{"SYNC", "READY", "REVISION", "OBJECTS", "AGE", "MESSAGE"},
		cells: func(s view.State) []string {
			objects := ""
			if s.Objects != nil {
				objects = strconv.Itoa(s.Objects.Total)
			}
			return []string{s.Name, s.Ready, view.ShortRevision(s.Applied), objects, age(s.Created.Time, o.now), s.Summary()}
		},
	})
}
