package demo

import (
	"errors"
	"fmt"
	"io"

	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// compared is what the two comparisons have come to, beside what was done wrong.
type compared struct {
	healthy, faulty telemetry.Comparison
	planted         map[string]int
	done            bool   // everything is judged
	judged          uint64 // so far
}

func (d *demo) compared() compared {
	all := d.engine.Comparisons()
	c := compared{healthy: all[0], faulty: all[1], planted: d.spoiler.counts(), done: true}
	for i := range all {
		r := &all[i].Report
		c.judged += r.Matched + r.Drift[drift.Missing]
		c.done = c.done && r.Matched > 0 && r.Pending == [2]uint64{}
	}
	return c
}

var errJudgedWrongly = errors.New("a comparison does not say what was done")

// write says what was found, and is an error unless that is what was done.
func (c *compared) write(out io.Writer) error {
	right := true
	line := func(format string, args ...any) error {
		_, err := fmt.Fprintf(out, format, args...)
		return err
	}
	err := line("\ncompared message by message with the incumbent:\n")
	for _, x := range []struct {
		name    string
		of      *telemetry.Comparison
		planted map[string]int
	}{{"healthy candidate", &c.healthy, nil}, {"faulty candidate", &c.faulty, c.planted}} {
		err = errors.Join(err, line("%-18s %9d matched\n", x.name, x.of.Matched))
		for k, n := range x.of.Drift {
			kind := drift.Kind(k).String()
			planted := x.planted[kind]
			if n != uint64(planted) {
				right = false
			}
			if n > 0 || planted > 0 {
				err = errors.Join(err, line("%-18s %9d of %d planted\n", "  "+kind, n, planted))
			}
		}
		if x.planted == nil && x.of.Verdict == "match" {
			err = errors.Join(err, line("  no drift: %s\n", x.of.Confidence))
		}
		right = right && x.of.Matched > 0 && x.of.Incomparable == [2]uint64{}
	}
	if err == nil && !right {
		return errJudgedWrongly
	}
	return err
}
