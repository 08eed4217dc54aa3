// Package ledger says what became of every message, without asking the bridge.
//
// It produces a planned load with clients of its own, notes for each message
// whether the incumbent confirmed it, reads the candidate with clients of its
// own, and compares: what is lost, duplicated, reordered, altered or unexpected,
// per key, with the first examples.
//
//	Plan ──► Produce… ──► incumbent ──► bridge ──► candidate ──► Read… ──► Report
//	  │          └── Sent, Confirmed ──► Book ◄── Observe ──────────┘
//	  └────────────── what each message must look like ──────────────┘
//
// A message is known by its number, which travels in a header of the ledger's
// own. The order that counts is that of the numbers within a key: one producer
// publishes all of them, one connection after the other. A message that was sent
// and never confirmed may be at the candidate or not; it has to be unaltered and
// in order if it is, and once.
//
// Nothing here imports the bridge or its adapters: the headers that the bridge
// adds are read as they are documented.
package ledger
