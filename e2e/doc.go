// Package e2e holds the stories: the real binary between real brokers, under
// load, with kill -9 and outages, judged by an independent ledger.
//
//	ledger ──► incumbent ──► crossfade ──► candidate ──► ledger ──► report
//	               ▲             ▲             ▲
//	               └── stop, restart, kill -9 ─┘
//
// A story produces a load, disturbs one side or the bridge while it flows, lets
// everything arrive, stops the bridge and reads the candidate to its end. It
// prints its size, its faults and the report. The sizes are small by default;
// FULL=1 gives those that the promises name. SEED=n repeats a run.
//
// Stories are also told of builds with one mistake planted in them, and have to
// fail then: see planted_test.go.
package e2e
