package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/identify"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// A Comparing is a comparison with everything around it: of what a relay brings, or of
// what consumers produced. Run it once; its other methods are safe at any time.
type Comparing struct {
	Config *config.Comparison
	// Streams are what is read: of the incumbent, of the candidate and, where there is one,
	// of the control.
	Streams []telemetry.Side

	delivery *compare.Comparison // one of the two
	outputs  *compare.Outputs

	log     *slog.Logger
	writer  *bundle.Writer // nil where nothing is written
	redact  bundle.Redaction
	told    func(*bundle.Bundle, string)
	hash    string
	build   string
	refused bool // the folder is full, which is said once
}

// Run compares until ctx ends, or the comparison's own end has come.
func (p *Comparing) Run(ctx context.Context) error {
	if p.outputs != nil {
		return p.outputs.Run(ctx)
	}
	return p.delivery.Run(ctx)
}

// Reading is what there is to show now.
func (p *Comparing) Reading() telemetry.Comparison {
	r := telemetry.Comparison{Streams: p.Streams, At: time.Now()}
	if p.outputs != nil {
		s := p.outputs.Snapshot()
		r.Outputs, r.Snapshot = &s, s.AsDelivery()
	} else {
		r.Snapshot = p.delivery.Snapshot()
	}
	r.Why = config.RedactURLs(r.Why)
	return r
}

// Coverage says what was seen; nothing of outputs.
func (p *Comparing) Coverage() compare.Coverage {
	if p.outputs != nil {
		return compare.Coverage{}
	}
	return p.delivery.Coverage()
}

// CompareOptions are what does not stand in the configuration.
type CompareOptions struct {
	Log   *slog.Logger
	Build telemetry.Build
	// Whole says that both sides are read from where they are to be the same on.
	Whole bool
	// End is when a bounded comparison ends, and Settle how long it waits then for what is
	// still pending; zero is never, and the default.
	End    time.Time
	Settle time.Duration
	// Told, if not nil, is given each bundle, and the file that it was written to, if it
	// was. One call at a time.
	Told func(b *bundle.Bundle, path string)
	// Passed, if not nil, proves how far the relay has come whose work is compared.
	Passed func() time.Time
}

// Compare makes a comparison of a checked configuration, and starts nothing.
func Compare(c *config.Config, x *config.Comparison, o CompareOptions) (*Comparing, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.Sum256([]byte(c.String()))
	p := &Comparing{
		Config: x, log: o.Log.With("comparison", x.Name), told: o.Told, hash: hex.EncodeToString(sum[:8]), build: o.Build.Version,
		redact: bundle.Redaction{Keys: x.Evidence.Redact.Keys, Bodies: x.Evidence.Redact.Bodies, Headers: x.Evidence.Redact.Headers, Fields: x.Evidence.Redact.Fields},
	}
	if x.Evidence.Dir != "" {
		p.writer = bundle.NewWriter(x.Evidence.Dir, sizeOr(x.Evidence.Size, 256<<20))
	}
	streams, err := p.open(c)
	if err == nil && x.Join != nil {
		err = p.compareOutputs(streams, o)
	} else if err == nil {
		err = p.compareDelivery(streams, o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: comparison %s: %w", x.Place, x.Name, err)
	}
	return p, nil
}

// open gives what is read.
func (p *Comparing) open(c *config.Config) (streams []compare.Stream, err error) {
	x := p.Config
	for side, end := range x.Ends() {
		s, source := c.System(end.System), x.Sources[side]
		p.Streams = append(p.Streams, telemetry.Side{System: s.Name, Kind: s.Kind, What: source.Describe()})
		identifier, err := identify.New(identify.Spec{Key: x.Key, ID: x.ID}, source.Traits())
		if err != nil && drift.Side(side) != drift.Candidate {
			return nil, err
		}
		streams = append(streams, compare.Stream{Open: source.Open, Traits: source.Traits(), Identify: identifying(drift.Side(side), identifier)})
	}
	return streams, nil
}

func (p *Comparing) compareDelivery(streams []compare.Stream, o CompareOptions) (err error) {
	x := p.Config
	cfg := compare.Config{
		Name: x.Name, Streams: [2]compare.Stream(streams), Log: o.Log, End: o.End, Settle: o.Settle, Found: p.found, Passed: o.Passed, Whole: o.Whole, Content: ownPositions(x), Ignore: x.Ignore,
		Drift:  drift.Options{Grace: x.Grace, Late: x.Late, Stuck: x.Stuck, Remember: x.Limits.Remember},
		Limits: limitsOf(x),
	}
	if w := x.Windows; w != nil {
		cfg.Windows = &compare.Windows{Every: w.Every, Lateness: w.Lateness, Behind: w.Behind}
	}
	if x.Of != nil {
		cfg.Loops = []string{x.Of.Identity.String()}
		cfg.Place = placing(x)
	}
	p.delivery, err = compare.New(cfg)
	return err
}

func (p *Comparing) compareOutputs(streams []compare.Stream, o CompareOptions) error {
	x := p.Config
	rules, err := x.Rules()
	if err != nil {
		return err
	}
	p.outputs, err = compare.NewOutputs(compare.OutputsConfig{
		Name: x.Name, Streams: streams, Join: compare.Join{By: x.Join.By, Every: x.Join.Every, Time: x.Join.Time, And: x.Join.And},
		Rules: rules, Grace: x.Grace, End: o.End, Settle: o.Settle, Log: o.Log, Limits: limitsOf(x), Found: p.foundOutput,
	})
	return err
}

func limitsOf(x *config.Comparison) compare.Limits {
	return compare.Limits{Pending: x.Limits.Pending, Hold: x.Limits.Hold, Flight: int(x.Evidence.Flight), Evidence: x.Evidence.Most}
}

// identifying finds key and ID as the relay does. What a relay brought to the candidate
// says them itself.
func identifying(side drift.Side, i *identify.Identifier) func(*bridge.Delivery) {
	switch {
	case i == nil:
		return nil
	case side == drift.Incumbent:
		return i.Identify
	}
	return func(d *bridge.Delivery) {
		if d.ID.IsZero() || d.Via == "" {
			i.Identify(d)
		}
	}
}

// ownPositions says that what the relay reads has other positions than what the
// comparison reads of the incumbent.
func ownPositions(x *config.Comparison) bool {
	own := x.Sources[drift.Incumbent].Traits().OwnPositions
	return own || x.Of != nil && x.Of.Source != nil && x.Of.Source.Traits().OwnPositions
}

func sizeOr(s config.Size, otherwise int64) int64 {
	if s == 0 {
		return otherwise
	}
	return int64(s)
}

// found keeps the evidence of what was found.
func (p *Comparing) found(e *compare.Evidence) { p.keep(bundle.Of(e)) }

// foundOutput keeps it of a record.
func (p *Comparing) foundOutput(f *compare.OutputFinding) {
	p.keep(bundle.OfOutput(p.Config.Name, f, time.Now()))
}

func (p *Comparing) keep(b *bundle.Bundle) {
	b.Config, b.Build = p.hash, p.build
	for side, of := range map[*bundle.Side]telemetry.Side{&b.Incumbent: p.Streams[0], &b.Candidate: p.Streams[1]} {
		side.System, side.Kind, side.What = of.System, of.Kind, of.What
	}
	if err := b.Redact(p.redact); err != nil {
		p.log.Error("what was found cannot be kept", "kind", b.Kind, "cause", err.Error())
		return
	}
	path := p.write(b)
	p.log.Warn("drift", "kind", b.Kind, "key", b.Key, "id", b.ID, "what", bridge.Printable(firstOf(b.Lines), 300), "bundle", path)
	if p.told != nil {
		p.told(b, path)
	}
}

func firstOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[0]
}

func (p *Comparing) write(b *bundle.Bundle) string {
	if p.writer == nil {
		return ""
	}
	path, err := p.writer.Write(b)
	if err != nil && (!p.refused || !errors.Is(err, bundle.ErrFull)) {
		p.log.Error("a bundle cannot be written", "cause", err.Error())
		p.refused = errors.Is(err, bundle.ErrFull)
	}
	return path
}

// run runs a comparison beside the relays, until ctx ends. That it failed stops nothing
// else.
func (p *Comparing) run(ctx context.Context) error {
	p.log.Info("starts", "incumbent", p.Streams[0].System+": "+p.Streams[0].What, "candidate", p.Streams[1].System+": "+p.Streams[1].What)
	err := p.Run(ctx)
	s := p.Reading()
	log := p.log.With("verdict", s.Verdict, "matched", s.Matched)
	if err != nil {
		log.Error("failed", "cause", config.RedactURLs(err.Error()), "hint", bridge.HintOf(err))
		return err
	}
	log.Info("stopped")
	return nil
}

// comparisons makes those of the configuration.
func comparisons(c *config.Config, o Options, passed func(*config.Relay) func() time.Time) (all []*Comparing, err error) {
	for _, x := range c.Comparisons {
		options := CompareOptions{Log: o.Log, Build: o.Build}
		if direct(x) {
			options.Passed = passed(x.Of)
		}
		p, err := Compare(c, x, options)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return slices.Clip(all), nil
}
