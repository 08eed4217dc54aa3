package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// A RelayFinding is one line of a preflight report.
type RelayFinding struct {
	Relay string
	// Side is which end was looked at, "from rabbit"; empty for the relay itself.
	Side string
	// Note says that it is something to know and not the result of a look.
	Note bool
	bridge.Finding
}

// checkPatience bounds one side's preflight.
const checkPatience = 20 * time.Second

// Check looks before data moves: what the relays promise and cannot hold, and
// what each side says of itself. It connects to all systems side by side and
// changes nothing. Findings come in the order of the configuration.
func Check(ctx context.Context, c *config.Config) []RelayFinding {
	sides := make([][]bridge.Finding, 2*len(c.Relays))
	var wg sync.WaitGroup
	for i, r := range c.Relays {
		wg.Go(func() { sides[2*i] = checkSide(ctx, r.Source.Describe(), r.Source) })
		wg.Go(func() { sides[2*i+1] = checkSide(ctx, r.Sink.Describe(), r.Sink) })
	}
	wg.Wait()
	var out []RelayFinding
	for i, r := range c.Relays {
		for j, side := range []string{"from " + r.From.System, "to " + r.To.System} {
			for _, f := range sides[2*i+j] {
				f.Text, f.Hint = config.RedactURLs(f.Text), config.RedactURLs(f.Hint)
				out = append(out, RelayFinding{Relay: r.Name, Side: side, Finding: f})
			}
		}
		out = append(out, promises(r)...)
	}
	out = append(out, orphans(ctx, c)...)
	return append(out, loops(c)...)
}

// checkSide asks one side, which may not know how to look.
func checkSide(ctx context.Context, what string, opener any) []bridge.Finding {
	checker := checkerOf(opener)
	if checker == nil {
		return []bridge.Finding{{Level: bridge.Warn, Subject: what, Text: "cannot be looked at before data moves"}}
	}
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	findings := checker.Check(ctx)
	if ctx.Err() != nil {
		findings = append(findings, bridge.Finding{
			Level: bridge.Fail, Subject: what, Text: fmt.Sprintf("not all could be looked at: %s", context.Cause(ctx)),
			Hint: "See that the system answers, and check again.",
		})
	}
	if len(findings) == 0 {
		return []bridge.Finding{{Level: bridge.Warn, Subject: what, Text: "its preflight says nothing, so nothing is known of it before data moves"}}
	}
	return findings
}
