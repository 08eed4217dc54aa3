// Command consumer is an application as a telemetry company has it: it reads
// samples from a queue, keeps state for each metric, and writes alerts and rollups
// into another queue. Run it once on the incumbent's stream and once on the
// candidate's, and let Crossfade compare what the two write.
//
//	samples ──► drop repeats ──► state of each metric ──► alerts, rollups
//	   ▲         (dedupe)              │ saved                 │ confirmed
//	   └────────── acknowledged ◄──────┴───────────────────────┘
//
// For example, behind RabbitMQ and behind a Kafka to which Crossfade copies:
//
//	consumer -from amqp://localhost -read telemetry -to kafka://localhost:9092 -write results.old -state old.json
//	consumer -from kafka://localhost:9092 -read telemetry -to kafka://localhost:9092 -write results.new -state new.json
//
// # What it writes
//
// An alert when a metric's value rises above -high and when it falls below it
// again, under the ID alert/METRIC/SEQ; a rollup of each -window of event time when
// the first sample of a later one arrives, under rollup/METRIC/WINDOW. Samples of
// one metric in the same order give the same alerts and rollups, to the last digit;
// only "producer" and "emitted" differ from run to run, and -quiet leaves them out.
// A sample of a window that is closed is late: it is counted and changes nothing.
//
// The metric is the key of what is written. The ID is the message-id in RabbitMQ,
// Nats-Msg-Id in NATS and the header -id-header in Kafka.
//
// # Repeats
//
// A sample with the metric and the ID of an earlier one changes nothing. The ID is
// the producer's own, wherever it is carried: see producerID. A sample without one
// is never taken for a repeat. The newest -remember IDs are remembered, and their
// fingerprints are saved with the state, so a restart forgets none of them.
//
// # Crashes
//
// Samples are taken in batches. A batch is acknowledged when all it led to is
// confirmed and the state is saved; a crash loses nothing. What was confirmed and
// not saved is written again, under the same IDs. What was saved and not
// acknowledged comes again and is dropped as repeats, where it has IDs.
//
// A lost connection to RabbitMQ or NATS ends the command with an error, and so does
// a broker that leaves a batch unconfirmed for a minute. Start it again then. At most
// one may run for each -state file and -name: two would each see a part of the samples.
package main
