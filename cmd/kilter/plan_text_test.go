package main

import (
	"strings"
	"testing"
	"time"

	"kilter.dev/kilter/internal/golden"
	"kilter.dev/kilter/manifests/schedule"
)

// What is said of a CronJob's runs, for every way in which a late one starts.
func TestPlanTextOfRuns(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(hour, minute, second int) time.Time {
		return time.Date(2026, time.September, 1, hour, minute, second, 0, berlin)
	}
	f := &forecast{Sync: "shop/app", Revision: "main@sha1:" + strings.Repeat("0", 40)}
	add := func(name string, o schedule.Outlook) {
		f.Steps = append(f.Steps, forecastStep{Op: "update", Object: planObject{Kind: "CronJob", Namespace: "shop", Name: name}, outlook: &o})
		f.Summary.Update++
	}
	before, after := []time.Time{at(18, 0, 0), at(20, 0, 0)}, []time.Time{at(13, 0, 0), at(13, 0, 30)}
	add("suspended", schedule.Outlook{Before: before})
	add("resumed", schedule.Outlook{After: after, Late: &schedule.Late{Run: at(12, 0, 0), Start: schedule.AtOnce}})
	add("busy", schedule.Outlook{Before: before, After: after, Late: &schedule.Late{Run: at(12, 0, 0), Start: schedule.AfterActive}})
	add("moved", schedule.Outlook{
		Before: before, After: after, Late: &schedule.Late{Run: at(12, 0, 0), Start: schedule.OnOldSchedule, At: at(18, 0, 0)},
	})
	add("passed", schedule.Outlook{Before: before, After: after, Late: &schedule.Late{Run: at(12, 0, 0), Start: schedule.OnOccasion, At: at(13, 0, 0)}})
	add("last", schedule.Outlook{Before: before, Late: &schedule.Late{Run: at(12, 0, 0), Start: schedule.OnOccasion}})
	var text strings.Builder
	if err := writePlanText(&text, f); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/plan-runs.txt", text.String())
}
