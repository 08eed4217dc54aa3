package fields

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// A Rule says how much the values of some fields may differ. One of Exact, Ignore,
// Present, Set, Time, ULP, and Abs with or without Rel, is set.
type Rule struct {
	// Path says which fields.
	Path string `json:"path"`
	// Exact fields are the same: numbers by their value, however it is written.
	Exact bool `json:"exact,omitempty"`
	// Ignore leaves them out; Why says why, for those who read the report.
	Ignore bool   `json:"ignore,omitempty"`
	Why    string `json:"why,omitempty"`
	// Present: they are there on both sides, or on none, whatever they hold.
	Present bool `json:"present,omitempty"`
	// Set compares lists without their order, and repeats count.
	Set bool `json:"set,omitempty"`
	// Time is how far apart two points in time may be: RFC 3339, or numbers of seconds,
	// milliseconds, microseconds or nanoseconds since 1970, by their size.
	Time time.Duration `json:"time,omitempty"`
	// ULP is how many floating-point numbers of 64 bits may lie between two numbers.
	ULP uint64 `json:"ulp,omitempty"`
	// Abs and Rel: |a-b| is at most Abs + Rel times the larger of |a| and |b|.
	Abs float64 `json:"abs,omitempty"`
	Rel float64 `json:"rel,omitempty"`

	parts []string
}

// Rules are what two bodies are compared by. Safe for concurrent use.
type Rules struct{ rules []Rule }

// List gives the rules.
func (r *Rules) List() []Rule { return r.rules }

// NewRules checks rules.
func NewRules(rules []Rule) (*Rules, error) {
	r := &Rules{rules: append([]Rule(nil), rules...)}
	var all []error
	for i := range r.rules {
		if err := r.rules[i].finish(); err != nil {
			all = append(all, fmt.Errorf("rule %d: %w", i+1, err))
		}
	}
	return r, errors.Join(all...)
}

func (r *Rule) finish() error {
	if r.Path == "" {
		return errors.New("path is missing: name a field, as alerts.*.value, or ** for all")
	}
	r.parts = strings.Split(r.Path, ".")
	for _, p := range r.parts {
		if p == "" {
			return fmt.Errorf("path %q: a name between two dots is empty", r.Path)
		}
	}
	n := 0
	for _, set := range []bool{r.Exact, r.Ignore, r.Present, r.Set, r.Time > 0, r.ULP > 0, r.Abs > 0 || r.Rel > 0} {
		if set {
			n++
		}
	}
	switch {
	case r.Time < 0, r.Abs < 0, r.Rel < 0, math.IsNaN(r.Abs), math.IsNaN(r.Rel), math.IsInf(r.Abs, 0):
		return fmt.Errorf("path %s: what may differ is a number that is not negative", r.Path)
	case r.Rel >= 1:
		return fmt.Errorf("path %s: rel: %g lets any two numbers of one sign pass; a hundredth is 0.01", r.Path, r.Rel)
	case n != 1:
		return fmt.Errorf("path %s: give one of exact, ignore, present, set, time, ulp, or abs and rel; it has %d", r.Path, n)
	}
	return nil
}

// of is the rule for a path; nil where the values have to be the same.
func (r *Rules) of(path []string) *Rule {
	for i := range r.rules {
		if fits(r.rules[i].parts, path) {
			return &r.rules[i]
		}
	}
	return nil
}

// fits says whether a path fits a pattern.
func fits(pattern, path []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for skip := range len(path) + 1 {
				if fits(pattern[1:], path[skip:]) {
					return true
				}
			}
			return false
		}
		if len(path) == 0 || pattern[0] != "*" && pattern[0] != path[0] {
			return false
		}
		pattern, path = pattern[1:], path[1:]
	}
	return len(path) == 0
}
