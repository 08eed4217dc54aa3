// Package engine composes a bridge: out of a checked configuration it makes
// relays, parking places, the console and the metrics, and runs them.
//
//	config ──► openers ──► relay ×n ──┐
//	              │           │       ├──► readings ──► console, metrics
//	              │        backlog  ──┘
//	              └──► abilities, promises, check
//
// Goroutines, all started and awaited by Run: one for each relay (and those that
// the relay owns), one for each relay that watches its progress once a second,
// and one that serves the console.
//
// # When something fails
//
// What a relay can mend by trying again it tries again, for ever, and its status
// says why it waits. A relay that nothing mends (bridge.Fatal) stops at once, is
// logged with its hint, is shown as failed and makes /readyz say so; all other
// relays go on, since each candidate lags and fails alone. // I7
//
// Run returns when its context has ended and the relays have drained, or when no
// relay is left. Its error is the first cause that stopped a relay, so the
// process ends with a failure even if it was asked to stop later.
package engine
