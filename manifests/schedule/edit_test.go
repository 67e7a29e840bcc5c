package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestOutlook holds what the CronJob controller of Kubernetes does after an edit at 12:34:56 on 1 September 2026, a Tuesday.
func TestOutlook(t *testing.T) {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, test := range []struct {
		name   string
		before string // "schedule", or "schedule|zone"
		after  string
		edit   Edit
		want   string // before; after; late
	}{
		{
			name: "a later schedule", before: "0 12 * * *", after: "0 13 * * *", edit: Edit{LastRun: ago(34*time.Minute + 56*time.Second)},
			want: "02T12:00 03T12:00 04T12:00; 01T13:00 02T13:00 03T13:00; nothing",
		},
		{
			name: "a slot of the new schedule has passed since the last run: the controller looks at the new schedule's next run only",
			edit: Edit{LastRun: ago(24 * time.Hour)}, before: "0 10 * * *", after: "30 12 * * *",
			want: "02T10:00 03T10:00 04T10:00; 02T12:30 03T12:30 04T12:30; 01T12:30 OnOldSchedule 02T10:00",
		},
		{
			name: "nothing is fixed before the new schedule's next run", before: "0 18 * * 0", after: "*/30 * * * *", edit: Edit{LastRun: ago(24 * time.Hour)},
			want: "06T18:00 13T18:00 20T18:00; 01T13:00 01T13:30 01T14:00; 01T12:30 OnOccasion 01T13:00",
		},
		{
			name: "the old schedule's run comes too late for the deadline", before: "0 10 * * *", after: "30 12 * * *",
			edit: Edit{LastRun: ago(24 * time.Hour), After: Spec{Deadline: time.Hour}},
			want: "02T10:00 03T10:00 04T10:00; 02T12:30 03T12:30 04T12:30; 01T12:30 OnOccasion 02T12:30",
		},
		{
			name: "too late already", before: "0 18 * * 0", after: "*/30 * * * *", edit: Edit{LastRun: ago(24 * time.Hour), After: Spec{Deadline: time.Minute}},
			want: "06T18:00 13T18:00 20T18:00; 01T13:00 01T13:30 01T14:00; nothing",
		},
		{
			name: "another zone", before: "0 12 * * *|Etc/UTC", after: "0 12 * * *|America/New_York", edit: Edit{LastRun: ago(34*time.Minute + 56*time.Second)},
			want: "02T12:00 03T12:00 04T12:00; 01T12:00 02T12:00 03T12:00; nothing",
		},
		{
			name: "resumed after a missed run", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 AtOnce",
		},
		{
			name: "resumed after many: the newest counts", before: "*/5 * * * *", after: "*/5 * * * *",
			edit: Edit{LastRun: ago(1000 * time.Hour), Before: Spec{Suspend: true}},
			want: "; 01T12:35 01T12:40 01T12:45; 01T12:30 AtOnce",
		},
		{
			name: "resumed before anything was missed", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(34*time.Minute + 56*time.Second), Before: Spec{Suspend: true}},
			want: "; 02T12:00 03T12:00 04T12:00; nothing",
		},
		{
			name: "resumed too late", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}, After: Spec{Deadline: 10 * time.Minute}},
			want: "; 02T12:00 03T12:00 04T12:00; nothing",
		},
		{
			name: "resumed, and the deadline reaches to the second", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}, After: Spec{Deadline: 34*time.Minute + 57*time.Second}},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 AtOnce",
		},
		{
			name: "resumed while a Job goes on", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}, After: Spec{Forbid: true}, Active: 1},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 AfterActive",
		},
		{
			name: "resumed with another schedule", before: "0 18 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 OnOccasion 02T12:00",
		},
		{
			name: "never ran: since it was created", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{Created: ago(time.Hour), Before: Spec{Suspend: true}},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 AtOnce",
		},
		{
			name: "suspended", before: "0 12 * * *", after: "0 12 * * *", edit: Edit{LastRun: ago(25 * time.Hour), After: Spec{Suspend: true}},
			want: "02T12:00 03T12:00 04T12:00; ; nothing",
		},
		{
			name: "a larger deadline reaches back to a missed run", before: "0 12 * * *", after: "0 12 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Deadline: time.Minute}, After: Spec{Deadline: time.Hour}},
			want: "02T12:00 03T12:00 04T12:00; 02T12:00 03T12:00 04T12:00; 01T12:00 AtOnce",
		},
		{
			name: "a delay counts from the last run", before: "@every 40m", after: "@every 30m", edit: Edit{LastRun: ago(35 * time.Minute)},
			want: "01T12:39 01T13:19 01T13:59; 01T12:59 01T13:29 01T13:59; 01T12:29 OnOldSchedule 01T12:39",
		},
		{
			name: "the controller overlooks a missed run of an irregular schedule", before: "0,10 8 * * *", after: "0,10 8 * * *",
			edit: Edit{LastRun: ago(25 * time.Hour), Before: Spec{Suspend: true}},
			want: "; 02T08:00 02T08:10 03T08:00; nothing",
		},
		{
			name: "never", before: "0 12 * * *", after: "0 0 30 2 *", edit: Edit{LastRun: ago(25 * time.Hour)},
			want: "02T12:00 03T12:00 04T12:00; ; nothing",
		},
		{
			name: "from what cannot be read", before: "TZ=UTC 0 12 * * *", after: "0 12 * * *", edit: Edit{LastRun: ago(25 * time.Hour)},
			want: "; 02T12:00 03T12:00 04T12:00; 01T12:00 OnOccasion 02T12:00",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := test.edit
			e.Now = now
			for _, spec := range []*Spec{&e.Before, &e.After} {
				if spec.Deadline == 0 {
					spec.Deadline = NoDeadline
				}
			}
			e.Before.Schedule, e.Before.TimeZone, _ = strings.Cut(test.before, "|")
			e.After.Schedule, e.After.TimeZone, _ = strings.Cut(test.after, "|")
			if diff := cmp.Diff(test.want, told(e.Outlook())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// told writes an Outlook as the table does.
func told(o Outlook) string {
	const minute = "02T15:04"
	list := func(runs []time.Time) string {
		texts := make([]string, len(runs))
		for i, run := range runs {
			texts[i] = run.Format(minute)
		}
		return strings.Join(texts, " ")
	}
	text := list(o.Before) + "; " + list(o.After) + "; "
	if o.Late == nil {
		return text + "nothing"
	}
	text += o.Late.Run.Format(minute) + " " + string(o.Late.Start)
	if !o.Late.At.IsZero() {
		text += " " + o.Late.At.Format(minute)
	}
	return text
}
