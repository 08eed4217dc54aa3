// Package demo is a whole migration in one process: two real nats-servers with
// JetStream on disk, a producer of telemetry, a relay between them, and a reader
// of the candidate that knows nothing of the relay.
//
//	producer ──► incumbent ──► relay ──► candidate ──► reader
//	    └────────── what was confirmed, per metric ─────┘
//
// The reader judges by the sequence that the producer wrote into each body, so
// the summary does not rest on the bridge's own counters.
package demo
