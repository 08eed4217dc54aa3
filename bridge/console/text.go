package console

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// WriteText writes a line for each relay, and then for each comparison, in the order of
// the configuration. It ends with the state and why the relay is in it.
func WriteText(w io.Writer, s *Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range s.Relays {
		if _, err := fmt.Fprintln(t, line(&s.Relays[i], s.At)); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range s.Comparisons {
		if _, err := fmt.Fprintln(t, comparisonLine(&s.Comparisons[i], s.At)); err != nil {
			return err
		}
	}
	return t.Flush()
}

func line(r *Relay, now time.Time) string {
	fields := []string{
		r.Name,
		r.From.System + " → " + r.To.System,
		"placed " + grouped(r.Counts.Placed),
		fmt.Sprintf("%s/s", grouped(uint64(max(0, r.Rate)+0.5))),
		"lag " + lagText(&r.Lag),
		"debt " + grouped(uint64(max(0, r.Debt))),
	}
	if aside := asides(r); aside != "" {
		fields = append(fields, aside)
	} else {
		fields = append(fields, "-")
	}
	state := r.State
	if since := now.Sub(r.Since); !r.Since.IsZero() && since >= time.Second {
		state += " for " + age(since)
	}
	if r.Why != "" {
		state += ": " + bridge.Printable(r.Why, 1000)
	}
	return strings.Join(append(fields, state), "\t")
}

// asides are the counts that are not zero of what went another way than placed.
func asides(r *Relay) string {
	var parts []string
	for _, a := range []struct {
		name string
		n    uint64
	}{
		{"suppressed", r.Counts.Suppressed}, {"parked", r.Counts.Parked}, {"expired", r.Counts.Expired},
		{"looped", r.Counts.Looped}, {"given back", r.Counts.GivenBack}, {"without key", r.KeyMissing},
	} {
		if a.n > 0 {
			parts = append(parts, a.name+" "+grouped(a.n))
		}
	}
	return strings.Join(parts, ", ")
}

func lagText(l *Lag) string {
	return sign(l.MessagesBound) + grouped(uint64(max(0, l.Messages))) + " msgs " + sign(l.SecondsBound) + lagSeconds(l.Seconds)
}

func sign(b telemetry.Bound) string {
	switch b {
	case telemetry.AtMost:
		return "≤"
	case telemetry.AtLeast:
		return "≥"
	}
	return ""
}

func lagSeconds(s float64) string {
	if s < 100 {
		return strconv.FormatFloat(s, 'f', 1, 64) + "s"
	}
	return age(time.Duration(s * float64(time.Second)))
}

// age is a duration in at most two units: "1m30s", "5h12m", "3d4h".
func age(d time.Duration) string {
	d = d.Round(time.Second)
	day := 24 * time.Hour
	switch {
	case d < time.Minute:
		return d.String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}

// grouped writes a number with a comma between groups of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
