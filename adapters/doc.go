// Package adapters is where the queue systems live, one folder each. It holds no
// code of its own: an adapter imports packages bridge and ordering and the
// client library of its system, no adapter imports another, and the command
// hands the ones that it is built with to the engine as a table of
// bridge.Adapter values.
//
// # Add an adapter in five steps
//
//  1. Make the folder and write its doc.go first: what a tap is on this system
//     and what it costs, what a target is, how key, ID, address and headers map,
//     which promises hold and which do not, and one picture. What the system or
//     its client library loses stands here.
//
//  2. Write config.go and codec.go. config.go is the bridge.Adapter, the
//     settings with `yaml` tags, their validation and the traits; it connects to
//     nothing. codec.go is pure functions between the system's own message and
//     bridge.Message: declare with bridge.Native what the system carries by
//     itself, let bridge.Carry carry the rest, and Message.Restore bring it back.
//     Test it by tables and fuzzing, there and back. fidelity.go declares how the
//     target carries each field and what the source gives (bridge.Carrier and
//     bridge.Giver); an adaptertest.Claim holds that against the codec.
//
//  3. Write source.go and sink.go, one session each, with no retry, no log and no
//     metric in them: errors go to the relay, marked by bridge.Reject and
//     bridge.Fatal where they are not transient. A source keeps what is
//     acknowledged behind a gap with ordering.Tracker. A sink that has only a
//     blocking "publish these" is made of it by bridge.BatchSink. Add the
//     abilities that the system has: Backlogger, Recaller, Router (with the trait
//     Routed), Looper, Locator, JournalOpener, Checker, Sited and Named. Assert the
//     interfaces at compile time.
//
//  4. Write conformance_test.go: an adaptertest.Harness, which opens, puts, reads
//     and kills. Every check runs; the traits say which promises are not made.
//     Correct the adapter or its traits until the report is right.
//
//  5. Add its line to the table in the command, one file to configs/, and its taps
//     and targets to the lists of the documents' and the round trip's tests here.
//
// Look at memory: it is the smallest one, and it makes every promise. Wrap an
// adapter with faulty to see what its relay does when the system misbehaves.
package adapters
