package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// progressEvery is how often a line says how it goes where there is no terminal. Tests do
// not wait so long.
var progressEvery = 10 * time.Second

// watch runs a comparison and shows how it goes.
func (f *compareFlags) watch(ctx context.Context, p *engine.Comparing) error {
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	every := progressEvery
	if f.terminal {
		every = 500 * time.Millisecond
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			if f.terminal && !f.quiet {
				_, _ = fmt.Fprint(f.errs, "\r\x1b[K") // the line goes
			}
			return err
		case <-t.C:
			f.progress(p)
		}
	}
}

func (f *compareFlags) progress(p *engine.Comparing) {
	if f.quiet {
		return
	}
	s := p.Reading()
	line := progressLine(&s, time.Since(f.began))
	if f.terminal {
		line = "\r\x1b[K" + line
	} else {
		line += "\n"
	}
	_, _ = fmt.Fprint(f.errs, line) // who does not read it does without
}

// progressLine is how a comparison goes, in one line.
func progressLine(s *telemetry.Comparison, since time.Duration) string {
	parts := []string{
		since.Round(time.Second).String(), string(s.Verdict), fmt.Sprintf("matched %d", s.Matched),
		fmt.Sprintf("pending %d + %d", s.Pending[drift.Incumbent], s.Pending[drift.Candidate]),
	}
	for k, n := range s.Drift {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", drift.Kind(k), n))
		}
	}
	if s.Outputs != nil {
		for _, o := range telemetry.Outcomes {
			if n := s.Outputs.Outcomes[o]; n > 0 && o != compare.OutcomeMatch {
				parts = append(parts, fmt.Sprintf("%s %d", o, n))
			}
		}
	} else if s.Matched > 0 {
		parts = append(parts, fmt.Sprintf("lag %s", max(0, s.Lag).Round(time.Millisecond)))
	}
	if s.Why != "" {
		parts = append(parts, s.Why)
	}
	return strings.Join(parts, "  ")
}

// overProgress writes over the progress line of a terminal, which comes again by itself.
type overProgress struct{ io.Writer }

func (o overProgress) Write(b []byte) (int, error) {
	if _, err := o.Writer.Write(append([]byte("\r\x1b[K"), b...)); err != nil {
		return 0, err
	}
	return len(b), nil
}
