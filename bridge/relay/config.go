package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Config is everything a relay needs. Source, Sink and Identity are required.
type Config struct {
	Identity bridge.Identity

	// Source opens a session with the incumbent.
	Source       func(context.Context) (bridge.Source, error)
	SourceTraits bridge.SourceTraits

	// Sink opens a session with the candidate.
	Sink       func(context.Context) (bridge.Sink, error)
	SinkTraits bridge.SinkTraits

	// Identify fills in key and ID of a delivery; nil leaves them as the source
	// set them. Called by the receiving goroutine only.
	Identify func(*bridge.Delivery)

	// Parking is where messages are set aside that can never be delivered. A nil
	// Parking stops the relay at the first Reject.
	Parking Parking
	// Hold parks the later messages of a key behind a parked one. // I2
	Hold bool

	// Paused reads whether an operator has the relay stand still. It is asked at each
	// Look, and now and then while the relay does; before each session it is Source
	// that says so, by a PausedError. nil is never.
	Paused func(context.Context) (Pause, error)

	// Reverse names the relays, as Identity.String, whose way back this one is or
	// whose way it has for its way back: what they carried is not sent on.
	Reverse []string

	Limits Limits
	Log    *slog.Logger
}

// A Parking keeps what a relay sets aside. Its calls do not overlap.
type Parking interface {
	// Each calls f with every message that is parked, by this process or another,
	// oldest first, and with those that are Done but were placed lately.
	Each(ctx context.Context, f func(*bridge.Parked) error) error
	// Park stores messages, in order, and sets their Ref. They are durable when nil
	// is returned; after an error some may be.
	Park(ctx context.Context, parked []bridge.Parked) error
	// Placed notes durably that the candidate has confirmed what was parked.
	Placed(ctx context.Context, refs []string) error
	// Retry notes durably that messages are to be sent again.
	Retry(ctx context.Context, refs []string) error
	// Refused notes durably that a message was sent again, and refused again.
	Refused(ctx context.Context, ref string, reason bridge.Reason, cause string) error
}

// Limits bound a relay. Zero values mean the defaults.
type Limits struct {
	// Debt is how many messages may be received and not yet acknowledged; it is
	// lowered to what the sink can recall and the source allows. Default 16,384.
	Debt int
	// Bytes is how many octets of bodies may be unsettled. Default 32 MiB. One
	// message is always let through.
	Bytes int
	// Window is how many placed IDs are remembered, to suppress repeats. Default
	// 262,144, at 40 octets each; never less than the debt or what is recalled. It is empty after a crash but for what was
	// recalled, so a producer's own repeat may pass if a crash lies between.
	Window int
	// Batch is how many messages are received at once. Default 512.
	Batch int
	// Parked is how many messages may be parked and not done with before the relay
	// stops. Default 100,000.
	Parked int
	// Drain is how long a stop waits for what is in flight. Default 10 s.
	Drain time.Duration
	// Backoff and BackoffMax space the attempts after a failure. Defaults 50 ms
	// and 2 s.
	Backoff, BackoffMax time.Duration
}

func (l *Limits) setDefaults() {
	for _, d := range []struct {
		v *int
		n int
	}{{&l.Debt, 16384}, {&l.Bytes, 32 << 20}, {&l.Window, 262144}, {&l.Batch, 512}, {&l.Parked, 100_000}} {
		if *d.v == 0 {
			*d.v = d.n
		}
	}
	for _, d := range []struct {
		v *time.Duration
		n time.Duration
	}{{&l.Drain, 10 * time.Second}, {&l.Backoff, 50 * time.Millisecond}, {&l.BackoffMax, 2 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.n
		}
	}
}

func (l *Limits) validate() error {
	switch {
	case l.Debt < 1, l.Bytes < 1, l.Window < 1, l.Batch < 1, l.Parked < 1:
		return errors.New("limits: debt, bytes, window, batch and parked are at least 1")
	case l.Drain < 0, l.Backoff < 0, l.BackoffMax < l.Backoff:
		return errors.New("limits: durations are not negative, and backoff_max is at least backoff")
	}
	return nil
}

// New builds a relay and starts nothing.
func New(cfg Config) (*Relay, error) {
	if cfg.Source == nil || cfg.Sink == nil {
		return nil, fmt.Errorf("relay %s: needs a source and a sink", cfg.Identity)
	}
	cfg.Limits.setDefaults()
	if err := cfg.Limits.validate(); err != nil {
		return nil, fmt.Errorf("relay %s: %w", cfg.Identity, err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Identify == nil {
		cfg.Identify = func(*bridge.Delivery) {}
	}
	if cfg.SinkTraits.Lanes < 1 {
		cfg.SinkTraits.Lanes = 1
	}
	if t := cfg.SinkTraits; t.Routed && t.Lanes > 1 && t.Fence == bridge.FenceExpect {
		return nil, fmt.Errorf("relay %s: the sink dictates lanes, and its fence is the %s, which does not hold there: this is a mistake in the adapter, report it", cfg.Identity, t.Fence)
	}
	if t := cfg.SourceTraits; t.Sharded && t.Slack > 0 {
		return nil, fmt.Errorf("relay %s: the source has several shards and forgets what was acknowledged, so nobody knows how far back that may be: this is a mistake in the adapter, report it", cfg.Identity)
	}
	debt, recall := debtAndRecall(cfg)
	reach, span := recall, 0
	if cfg.SourceTraits.Sharded && recall > 0 {
		reach, span = min(cfg.SinkTraits.Recall, max(recall, cfg.parts()*debt)), debt
	}
	// What is recalled, or in flight, must not fall out of the window again.
	cfg.Limits.Window = max(cfg.Limits.Window, debt, reach)
	r := &Relay{
		cfg: cfg, log: cfg.Log.With("relay", cfg.Identity.Relay), state: StateStarting,
		acker: make(chan struct{}, 1), room: make(chan struct{}, 1),
		turn: make(chan struct{}, 1), look: make(chan struct{}, 1), retried: make(chan struct{}, 1),
	}
	r.turn <- struct{}{}
	r.own = append([]string{cfg.Identity.String()}, cfg.Reverse...)
	r.debtLimit, r.recallCount, r.reach, r.span = debt, recall, reach, span
	r.ledger.init(debt, cfg.Limits)
	return r, nil
}

// debtAndRecall bounds the debt by what can be recalled: whatever the source may
// deliver again has to be found at the target. // I6
//
// Let m be placed and not acknowledged. What was placed after m is less than a
// debt of what was received after m; and where one key waits while others go on,
// also less than a debt of what was received before m. What the source forgets to
// have been acknowledged comes on top, and where it has more out than the relay
// has taken, that counts.
//
// Where the source has several shards, a session that follows on another's death
// first receives what comes again, and places what of it is not there: one debt more.
func debtAndRecall(cfg Config) (debt, recall int) {
	debt = cfg.Limits.Debt
	if u := cfg.SourceTraits.Unacked; u > 0 {
		debt = min(debt, u)
	}
	overtaken := 1
	if cfg.SinkTraits.Survives == bridge.SurvivesAny {
		overtaken = 2
	}
	if most := cfg.SinkTraits.Recall; most > 0 {
		parts := overtaken
		if cfg.SourceTraits.Sharded {
			parts = cfg.parts()
		}
		debt = max(1, min(debt, (most-cfg.SourceTraits.Slack)/parts))
		recall = min(most, overtaken*max(debt, cfg.SourceTraits.Unacked)+cfg.SourceTraits.Slack)
	}
	return debt, recall
}

// parts is how many debts may lie behind one another at the target, where the source
// has several shards.
func (c *Config) parts() int {
	if c.overtakes() {
		return 3
	}
	return 2
}

// overtakes says that messages of a shard may be placed in another order than they
// were received in.
func (c *Config) overtakes() bool {
	return c.SinkTraits.Survives == bridge.SurvivesAny || c.SinkTraits.Lanes > 1
}
