package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A line shows how things stand: in place on a terminal, else once a second.
type line struct {
	out     io.Writer
	inPlace bool

	mu    sync.Mutex
	width int // of what stands there
}

// status replaces the line.
func (l *line) status(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.inPlace {
		_, _ = fmt.Fprintln(l.out, text) // a closed output does not end the demo
		return
	}
	pad := max(0, l.width-len(text))
	l.width = len(text)
	_, _ = fmt.Fprint(l.out, "\r", text, strings.Repeat(" ", pad))
}

// event adds a line of its own.
func (l *line) event(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inPlace && l.width > 0 {
		_, _ = fmt.Fprintln(l.out)
		l.width = 0
	}
	_, _ = fmt.Fprintln(l.out, "  ──", text)
}

// end leaves the cursor below.
func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inPlace && l.width > 0 {
		_, _ = fmt.Fprintln(l.out)
		l.width = 0
	}
}

// show keeps the status line up to date until ctx ends.
func (d *demo) show(ctx context.Context) {
	every := time.Second
	if d.options.Terminal {
		every = 200 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer d.line.end()
	began, last, lastRead := time.Now(), time.Now(), uint64(0)
	rate := 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			v := d.reader.now()
			latest := float64(v.Read-lastRead) / now.Sub(last).Seconds()
			if rate == 0 {
				rate = latest
			}
			rate += 0.5 * (latest - rate)
			last, lastRead = now, v.Read
			d.line.status(d.describe(now.Sub(began), rate, v))
		}
	}
}

// describe is the status line: rate, lag, and what the reader found.
func (d *demo) describe(up time.Duration, rate float64, v Verdict) string {
	r := d.engine.Readings()[0]
	behind := uint64(0)
	if produced := d.producer.produced(); produced > v.Read {
		behind = produced - v.Read
	}
	lag := time.Duration(0)
	if s := r.OldestUnsettled; !s.IsZero() {
		lag = max(0, time.Since(s))
	}
	text := fmt.Sprintf("%5s  %7.0f msg/s  lag %6d msgs %6s  reordered %d  duplicated %d  lost %d  %s",
		up.Round(time.Second), rate, behind, brief(lag), v.Reordered, v.Duplicated, v.Lost, r.Snapshot.State)
	if r.Snapshot.State == "waiting" {
		why := r.Snapshot.Why
		if d.options.Terminal && len(why) > 60 {
			why = why[:60]
		}
		text += ": " + why
	}
	return text
}

// brief prints a duration with no more digits than matter.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(100 * time.Millisecond).String()
	}
}
