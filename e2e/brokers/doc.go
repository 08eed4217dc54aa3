// Package brokers starts, stops, restarts and kills private RabbitMQ, NATS and
// Kafka servers for tests, and finds the shared ones that "make up" started.
//
// Every server has ports and a data folder of its own under one root, by default
// the repository's .brokers folder, and never touches a server that it did not
// start. A server that a test process starts ends with that process, however
// that ends: a leash process waits for its death and cleans up behind it.
//
//	brokers.RabbitMQ(t), NATS(t), Kafka(t)                       the URL of a shared server
//	brokers.PrivateRabbitMQ(t), PrivateNATS(t), PrivateKafka(t)  one of the test's own, to be killed
//	brokers.Up, brokers.Down                                     what make up and make down do
//
// There are two generations of RabbitMQ: the machine's own, and 4.0 out of a small
// Debian in a folder outside the repository, which checkouts share. What a server
// needs mounted in there is mounted for it alone, and is gone with it. Kafka is its
// published jars, in a folder beside that, on the machine's own Java.
//
// A shared address is, in this order: the environment (CROSSFADE_TEST_AMQP,
// CROSSFADE_TEST_AMQP4, CROSSFADE_TEST_NATS, CROSSFADE_TEST_KAFKA), what "make up"
// left in .brokers/env, one server per test process. Tests that share a server use names of their own.
//
// Where a server cannot be had, a test is skipped and says what to install; with
// CI=true it fails.
package brokers
