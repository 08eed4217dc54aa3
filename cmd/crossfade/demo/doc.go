// Package demo is a whole migration in one process: real nats-servers with JetStream on
// disk, a producer of telemetry, a relay to a candidate, and a reader there that knows
// nothing of the relay; a second candidate, behind a spoiler that does wrong on purpose;
// and both compared with the incumbent.
//
//	producer ──► incumbent ──► relay ──► candidate ──► reader
//	    │            └───────► relay ──► spoiler ────► candidate
//	    └────────── what was confirmed, per metric ─────┘
//
// The reader judges by the sequence that the producer wrote into each body, so the summary
// does not rest on the bridge's own counters. What the spoiler did is held against what the
// comparisons found.
package demo
