package console

import (
	"time"

	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// A Status is the whole bridge at one moment. Times that are not known are left
// out; figures are since the start of the process.
type Status struct {
	Bridge  string    `json:"bridge"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	At      time.Time `json:"at"`
	// Ready says that every relay makes progress or has nothing to do.
	Ready       bool         `json:"ready"`
	Relays      []Relay      `json:"relays"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
}

// A Relay is one relay of a Status.
type Relay struct {
	Name  string    `json:"name"`
	From  Side      `json:"from"`
	To    Side      `json:"to"`
	State string    `json:"state"`
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
	Ready bool      `json:"ready"`
	// Counts are of one moment: received is the sum of all others.
	Counts Counts `json:"counts"`
	Lag    Lag    `json:"lag"`
	// Rate is in messages settled per second, over the last seconds.
	Rate float64 `json:"rate"`
	// Debt is what the incumbent may deliver again.
	Debt      int     `json:"debt"`
	DebtLimit int     `json:"debt_limit"`
	Backlog   Backlog `json:"backlog"`
	// ParkedNow is how many messages are parked and not done with, HeldKeys how many
	// keys wait behind some of them.
	ParkedNow   int        `json:"parked_now"`
	ParkedSince *time.Time `json:"parked_since,omitempty"`
	HeldKeys    int        `json:"held_keys"`
	// KeyMissing and IDMissing count messages without what the settings name.
	KeyMissing uint64     `json:"key_missing"`
	IDMissing  uint64     `json:"id_missing"`
	Retries    uint64     `json:"retries"`
	Reconnects uint64     `json:"reconnects"`
	LastPlaced *time.Time `json:"last_placed,omitempty"`
}

// A Side is one end of a relay.
type Side struct {
	System string `json:"system"`
	Kind   string `json:"kind"`
	What   string `json:"what"`
}

// Counts are the terms of the law of conservation. // I5
type Counts struct {
	Received   uint64 `json:"received"`
	Placed     uint64 `json:"placed"`
	Suppressed uint64 `json:"suppressed"`
	Parked     uint64 `json:"parked"`
	Expired    uint64 `json:"expired"`
	Looped     uint64 `json:"looped"`
	GivenBack  uint64 `json:"given_back"`
	InFlight   uint64 `json:"in_flight"`
}

// A Lag is how far a relay is behind.
type Lag struct {
	Messages int64 `json:"messages"`
	// MessagesBound and SecondsBound are "", "at most" or "at least".
	MessagesBound telemetry.Bound `json:"messages_bound,omitempty"`
	Seconds       float64         `json:"seconds"`
	SecondsBound  telemetry.Bound `json:"seconds_bound,omitempty"`
	// Bound says that seconds is a bound and not exact.
	Bound bool `json:"bound"`
}

// A Backlog is what waits at the incumbent, as it said last.
type Backlog struct {
	Known    bool       `json:"known"`
	Messages int64      `json:"messages"`
	Bytes    int64      `json:"bytes"` // -1 where the incumbent does not say
	Oldest   *time.Time `json:"oldest,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Error    string     `json:"error,omitempty"`
}

// Summarise makes a Relay of a Reading.
func Summarise(r *telemetry.Reading) Relay {
	c := r.Counts
	return Relay{
		Name: r.Relay, From: Side(r.From), To: Side(r.To),
		State: r.State(), Why: r.Why(), Since: r.Since, Ready: r.Ready(),
		Counts: Counts{
			Received: c.Received, Placed: c.Placed, Suppressed: c.Suppressed, Parked: c.Parked,
			Expired: c.Expired, Looped: c.Looped, GivenBack: c.GivenBack, InFlight: c.InFlight,
		},
		Lag: Lag{
			Messages: r.Lag.Messages, MessagesBound: r.Lag.MessagesBound,
			Seconds: r.Lag.Seconds, SecondsBound: r.Lag.SecondsBound, Bound: r.Lag.SecondsBound != telemetry.Exact,
		},
		Rate: r.Rate, Debt: r.Debt, DebtLimit: r.DebtLimit,
		Backlog: Backlog{
			Known: !r.BacklogAt.IsZero(), Messages: r.Backlog.Messages, Bytes: r.Backlog.Bytes,
			Oldest: known(r.Backlog.Oldest), At: known(r.BacklogAt), Error: r.BacklogError,
		},
		KeyMissing: r.Missing.KeyMissing, IDMissing: r.Missing.IDMissing, Retries: r.Retries, Reconnects: r.Reconnects,
		LastPlaced: known(r.LastPlaced),
		ParkedNow:  r.ParkedNow, ParkedSince: known(r.ParkedSince), HeldKeys: r.HeldKeys,
	}
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
