package bridge

import "context"

// A Holding is one thing that a bridge made at a system: a tap, a stream of its
// own, a consumer. What an operator made is none, whatever it is called.
type Holding struct {
	// Relay is whose it is; empty where all relays of the bridge share it.
	Relay string
	// Kind is what the system calls it: "quorum queue", "stream", "binding".
	Kind string
	// Name is its name at the system, as the system's own tools want it.
	Name string
	// Text is what it is for and what would go with it, in a few words: "tap,
	// 1,204 messages", "parked messages, 3 records".
	Text string
}

// A Keeper knows what bridges have made at a system. Systems at which an adapter
// makes something have it. Its methods are safe for concurrent use.
type Keeper interface {
	// Holdings lists what the bridge of that name made here and what is still
	// there, in the order in which it is to be removed: what other things lead to
	// first. It creates nothing. A system at which the bridge made nothing gives
	// none.
	Holdings(ctx context.Context, bridge string) ([]Holding, error)
	// Remove deletes the things of one relay, or what all share with relay empty,
	// which Holdings listed, and nothing else. One that is gone already is no
	// error. It is refused, with the holder's name, while a process runs the
	// relay. If it fails, it can be called again.
	Remove(ctx context.Context, bridge, relay string) error
}
