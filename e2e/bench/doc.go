// Command bench measures Crossfade's relay: against a minimal copy loop between
// real brokers, and by itself between two streams in memory.
//
//	go run ./e2e/bench              # everything, at a modest size
//	go run ./e2e/bench -h
//
// It is a program and not a set of Go benchmarks because of what it compares: each
// contestant of each round is a process of its own (this program again), so that
// its CPU seconds are its own; rounds of contestants are interleaved, so that what
// else the machine does falls on all of them; and what counts are ratios within
// one run, in one table, and not nanoseconds of one operation.
//
//	for each route and distribution of keys:
//	    for each round, the contestants in turn, another one first each time:
//	        fill the source ─► the contestant copies ─► read and verify the target
//	    medians, and the median of the rounds' ratios of Crossfade to the loop
//
// # Contestants
//
// "loop" is the least that copies in strict order with the client libraries that
// Crossfade uses too, amqp091-go and nats.go: at most 4,096 messages in flight,
// the contiguous prefix of what is confirmed is settled, and acknowledged with one
// acknowledgement for many. It carries body and ID, and nothing else: no address,
// no origin, no headers; it knows of no repeats, no reconnecting and no counts,
// and it does not survive a failure without duplicates. Where Kafka is at an end it
// uses franz-go, which Crossfade does not, with its defaults but for compression:
// there is none, nor does Crossfade compress unless told to. From Kafka to Kafka it
// settles by the poll and commits as often as it can; the idempotent producer keeps the
// order.
//
// "codec loop" is the least there is from Kafka to Kafka at all: no client, but
// requests on three connections, and records whose octets go from one batch into
// another, at most one of a partition in flight, with a sequence, and the offsets
// committed. Crossfade's own codec is not exported, and is not for this: the loop has
// as much of one as it needs, in the same manner (no allocation for a record, sums
// checked and made), so what is beside it is what the codec leaves to be paid for: IDs,
// headers, dedupe, windows, counts. Its requests are of package kmsg. It knows one
// broker, which leads all partitions.
//
// "crossfade" is bridge/relay with the adapters and settings of the shipped
// binary, so with IDs, dedupe, fences, counts and the headers of a hop. From Kafka the
// ID is that of a header, as a relay would be told to read it.
//
// # What is measured
//
// The clock runs from the first delivery, with both sides connected, until
// everything is acknowledged at the source. CPU is user and system time of the contestant's process
// between the two. Each round is verified: every message is there once, unaltered,
// with its ID, each key in order; a round that is not is an error.
//
// # One of a key in flight
//
// To a RabbitMQ classic queue the relay keeps at most one message of a key in
// flight, since the queue may lose one in the middle. What that costs is measured
// against the same relay told that a prefix survives, with keys spread and with a
// hot one.
//
// # In memory
//
// The relay between two streams of adapters/memory, and "bare" between a source
// that has everything ready and a sink that settles at once, on one processor
// (GOMAXPROCS=1). The collector runs less often than by default (GOGC=400): its
// work there is to look through the streams, which would be in the brokers.
package main
