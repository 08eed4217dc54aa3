// Package relay moves messages from one Source to one Sink: fence, recall,
// receive, suppress, lanes, send, settle, acknowledge.
//
//	receiver ── admit ──► lane 0 ── Send ──► candidate
//	   ▲      (by key)    lane 1 …               │
//	   │                                         │ settled(n)
//	debt full?                                   ▼
//	   └──────────── acker ◄── low watermark ◄── settle
//
// A relay owns one goroutine that receives, one per lane, one that acknowledges
// and, where an operator asked for it, one that sends again what was parked; they
// share the relay's ledger (counts, trackers, window, what is in flight), which one
// mutex guards and nobody holds across I/O.
//
// What a failure does:
//
//   - a lane ends: it is opened again (fence), what landed is recalled, and what
//     did not is sent again, in order, before anything newer. Other lanes go on.
//   - a lane finds that the candidate is partitioned otherwise by now (ErrRerouted):
//     everything is opened again, as if the source had ended. See route.go.
//   - the source ends: its receipts are void. Lanes are closed, then the source;
//     what was unsettled is given back, and both are opened again.
//   - a Reject: the message is parked, durably, and settles; without a place to
//     park the relay stops instead. With Hold, later messages of its key are parked
//     behind it until an operator retries or discards it: see held.go, retry.go.
//   - a Fatal: the relay stops.
package relay
