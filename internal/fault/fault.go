// Package fault makes servers fail, for tests only: the n-th call that matches a rule is answered by an error, late, half or not at all, or ends
// the program that sent it.
//
// A Transport is an http.RoundTripper that does so, and records every call. A Proxy puts one between a program and the API server, or a Git
// server: both are spoken to in the same words, which ParseRule documents. It never invents a success: what a program is told was done, was done.
package fault

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// Kind says what becomes of a call.
type Kind string

// The kinds.
const (
	Answer    Kind = "answer"     // an error of the server's, which never sees the call
	Delay     Kind = "delay"      // is passed on late
	Hang      Kind = "hang"       // no answer until the client gives up, or the rules are gone
	Reset     Kind = "reset"      // the connection ends before the server sees the call
	Lost      Kind = "lost"       // the server does what it is asked, and its answer is lost
	Truncate  Kind = "truncate"   // half of the answer's body arrives
	Expire    Kind = "expire"     // a watch begins, and is told at once that what it asked for is too old
	Exit      Kind = "exit"       // the program is killed before the server sees the call
	ExitAfter Kind = "exit-after" // the program is killed when the server has done what it was asked
)

// Rule is a fault and the calls that it befalls.
type Rule struct {
	Verb, Object string // patterns of path.Match on a Call
	First, Last  int    // which of the calls that match, from 1; Last 0 is all from First on
	Kind         Kind

	Status     int           // of an Answer
	Reason     string        // of an Answer: metav1.Status' reason
	Message    string        // of an Answer
	HTML       bool          // an Answer is a page, as balancers and login forms send it
	RetryAfter time.Duration // of an Answer; zero: not said
	Delay      time.Duration
}

// ParseRule reads a rule from the words of a line:
//
//	VERB OBJECT [N|FIRST..LAST|FIRST..] KIND [ARGUMENT...]
//
//	answer STATUS [REASON] [retry-after=1s] [message=TEXT] [html]
//	delay DURATION
//	hang | reset | lost | truncate | expire | exit | exit-after
//
// VERB and OBJECT are those of a Call, or patterns. Without numbers the rule is for every call that matches.
func ParseRule(words []string) (Rule, error) {
	if len(words) < 3 {
		return Rule{}, fmt.Errorf("a fault is VERB OBJECT [CALLS] KIND [ARGUMENT...], not %q", words)
	}
	r := Rule{Verb: words[0], Object: words[1], First: 1}
	for _, pattern := range words[:2] {
		if _, err := path.Match(pattern, ""); err != nil {
			return Rule{}, fmt.Errorf("%q is no pattern: %w", pattern, err)
		}
	}
	words = words[2:]
	if first, last, err := ParseRange(words[0]); err == nil {
		r.First, r.Last, words = first, last, words[1:]
	}
	if len(words) == 0 {
		return Rule{}, fmt.Errorf("the fault of %s %s has no kind", r.Verb, r.Object)
	}
	r.Kind = Kind(words[0])
	return r, r.arguments(words[1:])
}

func (r *Rule) arguments(words []string) (err error) {
	switch r.Kind {
	case Hang, Reset, Lost, Truncate, Expire, Exit, ExitAfter:
		if len(words) > 0 {
			return fmt.Errorf("%s takes no arguments, and has %q", r.Kind, words)
		}
		return nil
	case Delay:
		if len(words) != 1 {
			return fmt.Errorf("delay takes a duration, not %q", words)
		}
		r.Delay, err = time.ParseDuration(words[0])
		return err
	case Answer:
	default:
		return fmt.Errorf("%q is no kind of fault", r.Kind)
	}
	if len(words) == 0 {
		return fmt.Errorf("answer takes a status")
	}
	if r.Status, err = strconv.Atoi(words[0]); err != nil || r.Status < 300 {
		return fmt.Errorf("answer takes the status of an error, not %q", words[0])
	}
	for _, word := range words[1:] {
		switch name, value, _ := strings.Cut(word, "="); name {
		case "retry-after":
			if r.RetryAfter, err = time.ParseDuration(value); err != nil {
				return err
			}
		case "message":
			r.Message = value
		case "html":
			r.HTML = true
		default:
			r.Reason = word
		}
	}
	return nil
}

// ParseRange reads "2", "1..3" or "2..". Last is 0 when there is no end.
func ParseRange(word string) (first, last int, err error) {
	from, to, ranged := strings.Cut(word, "..")
	if first, err = strconv.Atoi(from); err != nil || !ranged {
		return first, first, err
	}
	if to != "" {
		last, err = strconv.Atoi(to)
	}
	return first, last, err
}

// String renders the rule as ParseRule reads it.
func (r Rule) String() string {
	return fmt.Sprintf("%s %s %d..%d %s %d", r.Verb, r.Object, r.First, r.Last, r.Kind, r.Status)
}

// matches reports whether a call is one of those that are counted.
func (r Rule) matches(c Call) bool { return c.Is(r.Verb, r.Object) }

// befalls reports whether the n-th of them has the fault.
func (r Rule) befalls(n int) bool { return n >= r.First && (r.Last == 0 || n <= r.Last) }
