// Package memory is the reference broker: streams that live in the process,
// with every promise of the contract and no I/O. Relays are tested on it, the
// conformance suite is tested on it, and it shows what an adapter looks like.
//
//	Broker "mem"
//	└── Stream "telemetry"        positions 1, 2, 3, … over all shards
//	    ├── log                   what is stored, in order
//	    ├── taps                  by bridge/relay: which positions are acknowledged
//	    └── lanes                 by bridge/relay and number: last position, epoch
//	└── Journals                  by bridge/relay/purpose
//
// # Semantics
//
// A Broker is durable for as long as the value lives. Sessions are not: the
// death of a bridge is that its sessions are abandoned, and Broker.Disconnect
// or Broker.Restart ends them from the broker's side.
//
// A tap keeps the set of acknowledged positions. Each session reads on from the
// first position that is not in it, so what was not acknowledged comes first
// and in order. A new session of a tap ends the one before, and Hold tells which
// of them has it.
//
// A lane's messages are stored within Send. With a Latency the answer comes
// that much later, so that an abandoned session leaves messages whose outcome
// its sender does not know. With FenceExpect each message names the position of
// the one before it in its lane and is refused if another session has written
// since; with FenceEpoch a new session locks out all earlier ones at once; with
// FenceNone an abandoned session goes on writing if somebody lets it.
//
// Where a sink is Routed, a message belongs to the lane of its partition: the hash
// of its key modulo the stream's partitions, modulo the lanes. Partitions are no
// more than that; what is stored has one order.
//
// A stream that is deleted and created again is another one, by its incarnation.
// What a bridge makes here are taps and journals; Holdings lists them and Remove
// takes them away.
//
// Everything that waits does so on channels that the waiting session made, so
// sessions work in the virtual time of testing/synctest.
//
// # Mapping
//
// All of a Message is carried natively, with the relay added to those that carried
// it. A message without Time that arrives
// through Put gets the broker's time; one without Origin gets, when it is
// received, the origin memory/CLUSTER/STREAM/INCARNATION/shard/position.
package memory
