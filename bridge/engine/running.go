package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/identify"
	"github.com/crossfade-mq/crossfade/bridge/park"
	"github.com/crossfade-mq/crossfade/bridge/relay"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// A running relay is one with everything around it.
type running struct {
	config     *config.Relay
	from, to   telemetry.Side
	relay      *relay.Relay
	identifier *identify.Identifier
	place      *park.Place // nil where the relay stops instead
	claim      *claim

	mu       sync.Mutex // guards what follows; not held across I/O
	session  bridge.Source
	progress telemetry.Progress
	passing  *passing // of a relay whose work is compared
}

// assemble makes a relay out of its configuration.
func assemble(c *config.Relay, kinds map[string]string, reverse []string, log *slog.Logger) (*running, error) {
	traits := c.Source.Traits()
	identifier, err := identify.New(identify.Spec{Key: c.Key, ID: c.ID}, traits)
	if err != nil {
		return nil, err
	}
	r := &running{
		config:     c,
		from:       telemetry.Side{System: c.From.System, Kind: kinds[c.From.System], What: c.Source.Describe()},
		to:         telemetry.Side{System: c.To.System, Kind: kinds[c.To.System], What: c.Sink.Describe()},
		identifier: identifier,
		place:      Place(c),
		claim:      newClaim(c, log),
		progress:   telemetry.Progress{SourceTime: traits.SourceTime},
	}
	cfg := relay.Config{
		Identity: c.Identity,
		Source:   r.open, SourceTraits: traits,
		Sink: r.openSink, SinkTraits: c.Sink.Traits(),
		Identify: identifier.Identify, Reverse: reverse,
		Limits: relay.Limits{
			Debt: c.Limits.Debt, Bytes: int(c.Limits.Bytes), Window: c.Limits.Window, Batch: c.Limits.Batch, Parked: c.Limits.Parked,
			Drain: c.Limits.Drain, Backoff: c.Limits.Backoff, BackoffMax: c.Limits.BackoffMax,
		},
		Log: log,
	}
	if pausable(c) {
		cfg.Paused = func(ctx context.Context) (relay.Pause, error) { return Paused(ctx, c) }
	}
	if r.place != nil {
		cfg.Parking, cfg.Hold = r.place, c.Holds()
	}
	r.relay, err = relay.New(cfg)
	return r, err
}

// Place gives where a relay parks: at the incumbent, in a file where that keeps no
// journals; nil if nowhere.
func Place(c *config.Relay) *park.Place {
	journals := journalsOf(c.Source)
	switch {
	case c.Park == config.ParkStop:
		return nil
	case journals != nil:
		return park.New(func(ctx context.Context) (bridge.Journal, error) { return journals.OpenJournal(ctx, "parked") })
	case c.ParkFile != "":
		return park.New(func(context.Context) (bridge.Journal, error) { return park.OpenFile(c.ParkFile) })
	}
	return nil
}

// open opens a session and remembers it, to be asked what waits. Whoever has the
// tap may look whether the relay's name stands for it.
func (r *running) open(ctx context.Context) (bridge.Source, error) {
	s, err := r.config.Source.Open(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.claim.source(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	r.mu.Lock()
	r.session = s
	r.mu.Unlock()
	return s, nil
}

func (r *running) openSink(ctx context.Context) (bridge.Sink, error) {
	s, err := r.config.Sink.Open(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.claim.sink(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// run runs the relay until ctx ends or nothing can mend it.
func (r *running) run(ctx context.Context, log *slog.Logger) error {
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { r.watch(watching) })
	log = log.With("relay", r.config.Name)
	log.Info("starts", "from", r.from.System+": "+r.from.What, "to", r.to.System+": "+r.to.What)
	err := r.relay.Run(ctx)
	stop()
	wg.Wait()
	c := r.relay.Snapshot().Counts
	log = log.With("received", c.Received, "placed", c.Placed, "suppressed", c.Suppressed, "parked", c.Parked, "expired", c.Expired, "looped", c.Looped, "given_back", c.GivenBack)
	if err != nil {
		log.Error("failed", "cause", config.RedactURLs(err.Error()), "hint", bridge.HintOf(err))
	} else {
		log.Info("stopped")
	}
	if r.place != nil {
		if cause := r.place.Close(); cause != nil {
			log.Warn("the place for parked messages did not close", "cause", config.RedactURLs(cause.Error()))
		}
	}
	return err
}

// How often the incumbent is asked what waits, and how long it may think.
const (
	watchEvery      = time.Second
	backlogPatience = 2 * time.Second
)

// watch follows the relay's progress until ctx ends.
func (r *running) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		r.look(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// look takes one observation.
func (r *running) look(ctx context.Context) {
	r.mu.Lock()
	session := r.session
	r.mu.Unlock()
	var b bridge.Backlog
	var asked bool
	var err error
	if session != nil && r.relay.Snapshot().State != relay.StatePaused {
		patient, cancel := context.WithTimeout(ctx, backlogPatience)
		b, asked, err = backlogOf(patient, session)
		cancel()
	}
	s := r.relay.Snapshot()
	if r.passing != nil && ctx.Err() == nil {
		r.passing.look(ctx, session, func() relay.Snapshot { return r.relay.Snapshot() })
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Answers = r.progress.Answers || asked
	if ctx.Err() == nil {
		r.progress.Observe(time.Now(), &s, b, err)
	}
}

// reading is what there is to show now.
func (r *running) reading(now time.Time) telemetry.Reading {
	s := r.relay.Snapshot()
	counts := r.identifier.Counts()
	r.mu.Lock()
	x := r.progress.Reading(now, s)
	r.mu.Unlock()
	x.Relay, x.From, x.To, x.Missing = r.config.Name, r.from, r.to, counts
	x.Snapshot.Why = config.RedactURLs(x.Snapshot.Why)
	x.BacklogError = config.RedactURLs(x.BacklogError)
	return x
}
