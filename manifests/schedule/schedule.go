// Package schedule answers when a CronJob's runs are due, as the CronJob controller would: by the same parser
// (github.com/robfig/cron/v3), in the zone of spec.timeZone, with whatever that parser makes of days on which the clocks change.
//
// It is pure: times come in and go out, and nothing reads the clock. Zones are those of the machine, unless the program embeds them
// (time/tzdata), as cmd/kilter does.
package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a CronJob's spec.schedule in its spec.timeZone. It is never changed.
type Schedule struct {
	when   cron.Schedule
	fields *cron.SpecSchedule // nil for "@every"
	texts  []string           // the five fields as written; nil for "@daily" and the like
	zone   *time.Location
}

// Parse reads spec.schedule and spec.timeZone. An empty time zone is taken for UTC: the controller then uses the zone of its own
// process, which is UTC wherever nobody changed it. The error is the server's reason to refuse the schedule, or the zone.
func Parse(schedule, timeZone string) (*Schedule, error) {
	if strings.Contains(schedule, "TZ") {
		return nil, errors.New("cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
	}
	zone, err := time.LoadLocation(timeZone)
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q", timeZone)
	}
	return read(schedule, zone)
}

// ParseStored reads the schedule of a CronJob that exists, as its controller does. It differs from Parse where the server was less strict
// once: a zone within the schedule ("TZ=Europe/Berlin 0 3 * * *") stands, and wins over timeZone. A schedule that names no zone at all is
// read in that of the controller's process.
func ParseStored(schedule, timeZone string, controller *time.Location) (*Schedule, error) {
	if strings.Contains(schedule, "TZ") {
		name, rest, found := strings.Cut(schedule, " ")
		zone, ok := strings.CutPrefix(strings.TrimPrefix(name, "CRON_"), "TZ=")
		if !found || !ok {
			return nil, errors.New("TZ stands in it without a zone and a schedule after it") // on some of these the parser panics
		}
		schedule, timeZone = strings.TrimSpace(rest), zone
	}
	zone := controller
	if timeZone != "" {
		var err error
		if zone, err = time.LoadLocation(timeZone); err != nil {
			return nil, fmt.Errorf("unknown time zone %q", timeZone)
		}
	}
	return read(schedule, zone)
}

func read(schedule string, zone *time.Location) (*Schedule, error) {
	when, err := cron.ParseStandard(schedule)
	if err != nil {
		return nil, err
	}
	s := &Schedule{when: when, zone: zone}
	if fields, ok := when.(*cron.SpecSchedule); ok {
		fields.Location = zone // as "TZ=zone " before the schedule would do, which is how the controller says it
		s.fields = fields
		if texts := strings.Fields(schedule); len(texts) == 5 {
			s.texts = texts
		}
	}
	return s, nil
}

// NextRuns returns the next n runs after from, in the schedule's zone; fewer when there are none within five years, which is how
// far the controller looks.
func NextRuns(schedule, timeZone string, from time.Time, n int) ([]time.Time, error) {
	s, err := Parse(schedule, timeZone)
	if err != nil {
		return nil, err
	}
	var runs []time.Time
	for at := s.Next(from); len(runs) < n && !at.IsZero(); at = s.Next(at) {
		runs = append(runs, at)
	}
	return runs, nil
}

// Zone returns the zone in which the schedule is read.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next returns the first run after from, in the schedule's zone, or the zero time when there is none within five years.
//
// A schedule that counts from a fixed delay ("@every 1h") is taken to have run at from.
func (s *Schedule) Next(from time.Time) time.Time {
	switch f := s.fields; {
	case f == nil:
	case f.Minute == 0 || f.Hour == 0:
		return time.Time{} // a field of nothing but commas: legal, and the parser would try every minute of five years
	default:
		from = from.Truncate(time.Minute).Add(59 * time.Second) // the parser tries each second, and only the first of a minute counts
	}
	return s.when.Next(from.In(s.zone))
}

// Delay returns how long after each other the runs of an "@every" schedule come, or false for other schedules. The parser makes
// anything below a second one second.
func (s *Schedule) Delay() (time.Duration, bool) {
	delay, ok := s.when.(cron.ConstantDelaySchedule)
	return delay.Delay, ok
}

// ShortestInterval returns the shortest time between two of the n runs after from, or false when there are not two.
func (s *Schedule) ShortestInterval(from time.Time, n int) (shortest time.Duration, ok bool) {
	last := s.Next(from)
	for range n {
		if last.IsZero() {
			break
		}
		next := s.Next(last)
		if next.IsZero() {
			break
		}
		if interval := next.Sub(last); !ok || interval < shortest {
			shortest, ok = interval, true
		}
		last = next
	}
	return shortest, ok
}

// Field is one of the five fields of a schedule.
type Field struct {
	Text string // as written; empty for "@daily" and the like
	// Star says that the field is * or ?, which the parser tells from a list of all values: of day of month and day of week,
	// one that is no star decides alone, and of two that are none either suffices.
	Star bool

	values uint64
}

// Values lists the minutes, hours, days or months that the field allows, ascending.
func (f Field) Values() []int {
	values := make([]int, 0, bits.OnesCount64(f.values))
	for rest := f.values; rest != 0; rest &= rest - 1 {
		values = append(values, bits.TrailingZeros64(rest))
	}
	return values
}

// Count returns how many values the field allows.
func (f Field) Count() int { return bits.OnesCount64(f.values) }

// Fields are the five fields of a schedule, in the order in which they are written.
type Fields struct {
	Minute, Hour, DayOfMonth, Month, DayOfWeek Field
}

// Fields returns what the schedule's fields allow, or false for "@every", which has none.
func (s *Schedule) Fields() (Fields, bool) {
	if s.fields == nil {
		return Fields{}, false
	}
	const star = 1 << 63 // the parser's own mark
	field := func(i int, values uint64) Field {
		f := Field{Star: values&star != 0, values: values &^ star}
		if s.texts != nil {
			f.Text = s.texts[i]
		}
		return f
	}
	return Fields{
		Minute: field(0, s.fields.Minute), Hour: field(1, s.fields.Hour), DayOfMonth: field(2, s.fields.Dom),
		Month: field(3, s.fields.Month), DayOfWeek: field(4, s.fields.Dow),
	}, true
}

// ClockChange is a change of the zone's clocks that changes what the schedule does. Wall times are what the clocks on the wall
// show, carried in UTC.
type ClockChange struct {
	At       time.Time   // the first moment of the new offset, in the schedule's zone
	From, To time.Time   // wall times: what the clocks showed when they changed, and what they showed then
	Skipped  []time.Time // wall times that the schedule names and at which nothing runs
	Repeated []time.Time // wall times of runs that the schedule does not name: the same one again, or one on a wrong day
}

// How far from a change of the clocks its effect on a schedule is looked for. No change is larger than two hours; but the
// parser steps through days in hours, so an hour that is not there can displace a run by a day.
const (
	before = 2 * time.Hour
	after  = 25 * time.Hour
)

// ClockChanges returns the changes between from and until at which the runs are others than the schedule names. It computes the
// real runs on both sides of each change, so it is for schedules with few runs a day.
func (s *Schedule) ClockChanges(from, until time.Time) []ClockChange {
	if s.fields == nil {
		return nil
	}
	onTheWall := *s.fields
	onTheWall.Location = time.UTC
	named := &Schedule{when: &onTheWall, fields: &onTheWall, zone: time.UTC}
	var changes []ClockChange
	for at := from.In(s.zone); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.After(until) {
			return changes
		}
		at = end
		change := ClockChange{At: at, From: wall(at.Add(-time.Second)).Add(time.Second), To: wall(at)}
		if change.From.Equal(change.To) {
			continue // another name or another rule for the same offset
		}
		wanted := named.runs(wall(at.Add(-before)), wall(at.Add(after)))
		got := s.runs(at.Add(-before), at.Add(after))
		for i, run := range got {
			got[i] = wall(run)
		}
		change.Skipped, change.Repeated = without(wanted, got), without(got, wanted)
		if len(change.Skipped)+len(change.Repeated) > 0 {
			changes = append(changes, change)
		}
	}
}

// runs returns the runs after from, up to until.
func (s *Schedule) runs(from, until time.Time) []time.Time {
	var runs []time.Time
	for at := s.Next(from); !at.IsZero() && !at.After(until); at = s.Next(at) {
		runs = append(runs, at)
	}
	return runs
}

// wall returns what a clock on the wall shows at a moment, as if it were UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// without returns the times of all that are not in others, as often as all has more of them.
func without(all, others []time.Time) []time.Time {
	var left []time.Time
	others = slices.Clone(others)
	for _, t := range all {
		if i := slices.IndexFunc(others, t.Equal); i >= 0 {
			others = slices.Delete(others, i, i+1)
			continue
		}
		left = append(left, t)
	}
	return left
}
