package schedule

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, time.September, 1, 12, 34, 56, 0, time.UTC)

func TestNextRuns(t *testing.T) {
	for _, test := range []struct {
		name           string
		schedule, zone string
		want           []string
	}{
		{"every night", "30 2 * * *", "", []string{"2026-09-02T02:30:00Z", "2026-09-03T02:30:00Z"}},
		{"in its zone", "30 2 * * *", "Asia/Kolkata", []string{"2026-09-02T02:30:00+05:30", "2026-09-03T02:30:00+05:30"}},
		{"a descriptor", "@monthly", "Etc/UTC", []string{"2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"}},
		{"a delay counts from the last run", "@every 90m", "", []string{"2026-09-01T14:04:56Z", "2026-09-01T15:34:56Z"}},
		{"a negative delay is a second", "@every -1h", "", []string{"2026-09-01T12:34:57Z", "2026-09-01T12:34:58Z"}},
		{"30 February", "0 0 30 2 *", "", nil},
		{"29 February", "0 0 29 2 *", "", []string{"2028-02-29T00:00:00Z"}},
		{"a field of commas", ", * * * *", "", nil},
		{"the 13th or a Friday", "0 0 13 * 5", "", []string{"2026-09-04T00:00:00Z", "2026-09-11T00:00:00Z"}},
		{"a step beyond the field", "*/90 * * * *", "", []string{"2026-09-01T13:00:00Z", "2026-09-01T14:00:00Z"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			runs, err := NextRuns(test.schedule, test.zone, now, 2)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, run := range runs[:min(len(runs), max(len(test.want), 1))] {
				got = append(got, run.Format(time.RFC3339))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for schedule, zone := range map[string]string{
		"0 0 * * 7": "", "@reboot": "", "TZ=UTC 0 0 * * *": "", "TZ=0": "", "0 0 * * *": "Mars/Olympus", "": "",
	} {
		if s, err := Parse(schedule, zone); err == nil {
			t.Errorf("%q in %q: got %v", schedule, zone, s)
		}
	}
}

// TestClockChanges holds what really happens to runs when the clocks change, on the dates of the year after September 2026.
func TestClockChanges(t *testing.T) {
	for _, test := range []struct {
		name           string
		schedule, zone string
		want           []string
	}{
		{"no zone, no change", "30 2 * * *", "", nil},
		{"a zone without daylight saving", "30 2 * * *", "Asia/Tokyo", nil},
		{"the hour that Berlin skips and repeats", "30 2 * * *", "Europe/Berlin", []string{
			"2026-10-25 03:00 to 02:00: repeated 2026-10-25 02:30", "2027-03-28 02:00 to 03:00: skipped 2027-03-28 02:30",
		}},
		{"the hour before and the hour after", "59 1,3 * * *", "Europe/Berlin", nil},
		{"the hour begins when it is skipped", "0 2 * * *", "Europe/Berlin", []string{
			"2026-10-25 03:00 to 02:00: repeated 2026-10-25 02:00", "2027-03-28 02:00 to 03:00: skipped 2027-03-28 02:00",
		}},
		{"New York skips 02:30 and repeats 01:30", "30 1,2 * * *", "America/New_York", []string{
			"2026-11-01 02:00 to 01:00: repeated 2026-11-01 01:30", "2027-03-14 02:00 to 03:00: skipped 2027-03-14 02:30",
		}},
		{"weekly, on the day of the change", "30 2 * * 0", "America/New_York", []string{
			"2027-03-14 02:00 to 03:00: skipped 2027-03-14 02:30",
		}},
		{"weekly, on another day", "30 2 * * 1-6", "America/New_York", nil},
		{"midnight is not there in Santiago, and Saturday's run comes again on Sunday", "0 12 * * 6", "America/Santiago", []string{
			"2026-09-06 00:00 to 01:00: repeated 2026-09-06 12:00",
		}},
		{"midnight itself", "0 0 * * *", "America/Santiago", []string{
			"2026-09-06 00:00 to 01:00: skipped 2026-09-06 00:00",
		}},
		{"half an hour on Lord Howe, and the parser misses that the hour is over", "45 1 * * *", "Australia/Lord_Howe", []string{
			"2026-10-04 02:00 to 02:30: repeated 2026-10-04 02:45",
			"2027-04-04 02:00 to 01:30: repeated 2027-04-04 01:45",
		}},
		{"a delay knows no clocks", "@every 24h", "Europe/Berlin", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(test.schedule, test.zone)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range s.ClockChanges(now, now.AddDate(1, 0, 0)) {
				line := c.From.Format("2006-01-02 15:04 to ") + c.To.Format("15:04:")
				for _, run := range c.Skipped {
					line += run.Format(" skipped 2006-01-02 15:04")
				}
				for _, run := range c.Repeated {
					line += run.Format(" repeated 2006-01-02 15:04")
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFields(t *testing.T) {
	s, err := Parse("0,30 */6 1-3 * ?", "")
	if err != nil {
		t.Fatal(err)
	}
	f, ok := s.Fields()
	if !ok || f.Minute.Star || f.Hour.Star || f.DayOfMonth.Star || !f.Month.Star || !f.DayOfWeek.Star || f.Month.Count() != 12 {
		t.Errorf("got %+v, %v", f, ok)
	}
	if got := f.Hour.Values(); !slices.Equal(got, []int{0, 6, 12, 18}) || f.Hour.Text != "*/6" {
		t.Errorf("hours %v of %q", got, f.Hour.Text)
	}
}

func BenchmarkClockChanges(b *testing.B) {
	for _, schedule := range []string{"30 2 * * *", "30 2 1 * *", "*/5 2 * * *"} {
		b.Run(schedule, func(b *testing.B) {
			for b.Loop() {
				s, err := Parse(schedule, "Europe/Berlin")
				if err != nil {
					b.Fatal(err)
				}
				s.ClockChanges(now, now.AddDate(1, 0, 0))
			}
		})
	}
}
