package plan

import (
	"github.com/crossfade-mq/crossfade/bridge"
)

// lost says what it means that an object has no counterpart of a setting; nothing
// where it means nothing to applications.
func lost(s bridge.Setting, from, to *bridge.Object, kind string) string {
	if s.Meaning == bridge.MeaningTuning || s.Meaning == bridge.MeaningWindow && s.N == usualWindow {
		return ""
	}
	if from.Role == bridge.RoleQueue && to.Role != bridge.RoleQueue {
		if t := ofQueue[s.Meaning]; t != "" {
			return t
		}
	}
	if t := special[kind][s.Meaning]; t != "" {
		return t
	}
	if from.Role == bridge.RoleLog && to.Role == bridge.RoleQueue {
		if t := ofLog[s.Meaning]; t != "" {
			return t
		}
	}
	return general[s.Meaning]
}

// ofQueue are limits of one application's queue, where the candidate keeps one copy
// for all.
var ofQueue = map[bridge.Meaning]string{
	bridge.MeaningExpiry:   "messages of this queue are dropped when they have waited that long; there they wait until the limits of the stream, so a consumer that was away gets older ones than today and has to drop them itself",
	bridge.MeaningMessages: "the queue is bound by what its application has not read; there the stream keeps messages whether they were read or not, by its own limits, so a slow consumer keeps more than today",
	bridge.MeaningBytes:    "the queue is bound by what its application has not read; there the stream keeps messages whether they were read or not, by its own limits, so a slow consumer keeps more than today",
	bridge.MeaningFull:     "what the queue does when it is full has no counterpart, since there a slow consumer fills nothing",
}

// ofLog are limits of a log, where the candidate keeps what was not taken.
var ofLog = map[bridge.Meaning]string{
	bridge.MeaningAge:      "a queue keeps a message until it is taken, whatever its age, and not afterwards: nothing can be read twice, and what nobody takes stays",
	bridge.MeaningBytes:    "a queue keeps a message until it is taken and not afterwards; set a limit of its own (x-max-length-bytes) where nobody may take it for long",
	bridge.MeaningMessages: "a queue keeps a message until it is taken and not afterwards; set a limit of its own (x-max-length) where nobody may take it for long",
	bridge.MeaningReplicas: "a quorum queue is stored on as many nodes as the cluster's default says",
}

// general is said where nothing more exact is known.
var general = map[bridge.Meaning]string{
	bridge.MeaningOther:         "what it does is not known here: look whether the applications rely on it",
	bridge.MeaningExpiry:        "messages do not expire there by themselves: an application that was away gets older ones than today",
	bridge.MeaningIdle:          "it is not deleted there when it is not used: delete it by hand",
	bridge.MeaningMessages:      "the number of messages is not bound there in the same way",
	bridge.MeaningBytes:         "its size is not bound there in the same way",
	bridge.MeaningAge:           "messages are not dropped there by their age",
	bridge.MeaningPerKey:        "older messages of a key are not dropped there: who reads it as a table gets all values, and the newest last",
	bridge.MeaningSize:          "the largest message is what the candidate's own limit says; larger ones are parked",
	bridge.MeaningFull:          "what happens when it is full is the candidate's own way",
	bridge.MeaningDeadLetter:    "what is given up goes nowhere there: the application has to send it to a place of its own before it gives it up",
	bridge.MeaningDeadLetterKey: "what is given up goes nowhere there, so it gets no other address",
	bridge.MeaningDeliveries:    "a message that fails is delivered again without end there: the application has to count",
	bridge.MeaningPriority:      "messages come in the order in which they were sent there, whatever their priority, which stays in the message",
	bridge.MeaningSingle:        "nothing keeps a second consumer from taking messages beside the first there: run one, or the order is that of whoever is faster",
	bridge.MeaningAlternate:     "what no route takes does not go elsewhere there; the bridge parks it",
	bridge.MeaningReplicas:      "on how many servers it is stored is the candidate's own setting",
	bridge.MeaningPartitions:    "there it is one sequence: the order holds for all together, and readers do not share it by partition",
	bridge.MeaningWindow:        "the candidate does not drop repeats by itself; the bridge sends none where it can read the target back, and consumers can tell by the ID",
	bridge.MeaningUnacked:       "how much a consumer may hold un-acknowledged, and for how long, is set by the application there when it subscribes, or for the whole broker",
	bridge.MeaningStart:         "where it begins is its own choice there; a queue begins when it is bound",
	bridge.MeaningRemoved:       "messages stay there when they were read, until the limits: a second reader gets them too",
	bridge.MeaningTransient:     "what is made there is durable and survives a restart",
	bridge.MeaningLeaves:        "it does not go with its last user there: delete it by hand",
	bridge.MeaningInternal:      "producers can send to it there",
	bridge.MeaningFlow:          "where it takes messages from, or gives them to, besides is not made there: what the relay reads is carried, and nothing more",
	bridge.MeaningReaders:       "the number of readers is not bound there",
	bridge.MeaningArgument:      "nothing is chosen by headers there",
}

// special are the words for one kind of object.
var special = map[string]map[bridge.Meaning]string{
	"nats/stream": {
		bridge.MeaningPerKey:     "a stream that a relay writes to has to keep all (max_msgs_per_subject -1), or an older value may come back after a crash: let a second stream source this one and keep the newest of each subject",
		bridge.MeaningTransient:  "the stream is made on disk",
		bridge.MeaningFull:       "the stream is made so that its oldest messages go when it is full (discard old); with discard new the relay would wait and its tap grow",
		bridge.MeaningAlternate:  "what no consumer's filter takes stays in the stream, for whoever wants it; nothing is unroutable there",
		bridge.MeaningInternal:   "producers can send to its subjects, unless their permissions forbid it",
		bridge.MeaningPartitions: "the stream is one sequence: the order holds for all together; consumers share it by subject filters, or by a subject transform with partition()",
	},
	"kafka/topic": {
		bridge.MeaningPerKey:    "the topic is not made compacted: what compaction removes cannot be read back, so after a crash an older value could take the place of a newer one; set cleanup.policy once the relay has done its work, or min.compaction.lag.ms with it",
		bridge.MeaningBytes:     "Kafka bounds each partition by itself (retention.bytes): set it to the share of one",
		bridge.MeaningMessages:  "Kafka bounds a topic by time and size, not by the number of messages",
		bridge.MeaningFull:      "Kafka drops the oldest at a limit and never refuses",
		bridge.MeaningWindow:    "Kafka drops no repeats of different producers; the relay sends none, and consumers can tell by the ID in the headers",
		bridge.MeaningRemoved:   "records stay when they were read, until the limits; each group has offsets of its own",
		bridge.MeaningTransient: "the topic is kept on disk",
		bridge.MeaningReaders:   "the number of groups is not bound there",
		bridge.MeaningInternal:  "producers can write to it, unless ACLs forbid it",
		bridge.MeaningAlternate: "what no application wants stays in the topic; nothing is unroutable there but what has no topic",
	},
	"kafka/consumer group": {
		bridge.MeaningDeliveries: "a group does not count deliveries: a record that fails is read again as long as its offset is not committed, and holds up its partition; the application has to count, and to send what it gives up elsewhere",
		bridge.MeaningUnacked:    "a group commits offsets and acknowledges no single records",
		bridge.MeaningSingle:     "each partition has one consumer of the group: with one partition, or assigned by hand, one at a time reads",
		bridge.MeaningIdle:       "a group without members is forgotten after offsets.retention.minutes of the cluster, 7 days by default",
		bridge.MeaningStart:      "where a new group begins is its auto.offset.reset",
		bridge.MeaningReplicas:   "offsets are stored as the cluster says",
		bridge.MeaningTransient:  "offsets that are committed survive a restart",
		bridge.MeaningExpiry:     "records wait until the topic's retention, read or not: a consumer that was away gets older ones than today and has to drop them itself",
		bridge.MeaningMessages:   "the queue is bound by what its application has not read; a topic keeps records by time and size, so a slow consumer keeps nothing and may find some gone",
		bridge.MeaningBytes:      "the queue is bound by what its application has not read; a topic keeps records by time and size, so a slow consumer keeps nothing and may find some gone",
		bridge.MeaningAge:        "a group keeps nothing: how long there is something to read is its topic's limit",
	},
	"nats/consumer": {
		bridge.MeaningDeadLetter: "a consumer gives up without a place for it: with max_deliver the server says so on $JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES, and who needs the message reads it by its sequence",
		bridge.MeaningTransient:  "the consumer is durable and survives a restart",
		bridge.MeaningSingle:     "consumers of one durable share its messages: set max_ack_pending to 1, or use a pinned client (nats-server 2.11), where one at a time has to read",
		bridge.MeaningReplicas:   "a consumer is stored on as many servers as its stream",
		bridge.MeaningAge:        "a consumer keeps nothing of its own: how long there is something to read is its stream's limit",
		bridge.MeaningBytes:      "a consumer keeps nothing of its own: how much there is to read is its stream's limit",
		bridge.MeaningMessages:   "a consumer keeps nothing of its own: how much there is to read is its stream's limit",
		bridge.MeaningStart:      "the consumer begins at the first message of its stream",
	},
	"rabbitmq/topic exchange":   ofExchange,
	"rabbitmq/direct exchange":  ofExchange,
	"rabbitmq/fanout exchange":  ofExchange,
	"rabbitmq/headers exchange": ofExchange,
	"rabbitmq/quorum queue": {
		bridge.MeaningPriority: "a quorum queue has no x-max-priority: before RabbitMQ 4 it keeps the order, from 4 on it knows two priorities; a classic queue has it",
		bridge.MeaningFull:     "it is left to drop its oldest messages when it is full (drop-head): one that refuses would hold up the relay and all that is behind it",
	},
	"rabbitmq/classic queue": {
		bridge.MeaningDeliveries: "a classic queue does not count deliveries: a message that fails comes back without end; a quorum queue has x-delivery-limit",
		bridge.MeaningFull:       "it is left to drop its oldest messages when it is full (drop-head): one that refuses would hold up the relay and all that is behind it",
		bridge.MeaningTransient:  "the queue is made durable: one that is not does not survive a restart of the candidate, and RabbitMQ 4 advises against it",
	},
	"rabbitmq/stream consumer": {
		bridge.MeaningDeliveries: "a stream does not count deliveries; who reads it goes on where its offset says",
		bridge.MeaningUnacked:    "a stream's reader has its offset and its prefetch, nothing that is un-acknowledged for long",
		bridge.MeaningStart:      "where it begins is its x-stream-offset",
	},
}

// ofExchange are what an exchange has no place for, of whatever type it is.
var ofExchange = map[bridge.Meaning]string{
	bridge.MeaningAlternate: "it is left out: with an alternate exchange, what no binding takes goes there and is not parked, which the relay has to accept (accept: [alternate-exchange])",
	bridge.MeaningTransient: "the exchange is made durable",
	bridge.MeaningAge:       "an exchange keeps nothing; what the queues behind it keep is theirs",
	bridge.MeaningBytes:     "an exchange keeps nothing; what the queues behind it keep is theirs",
	bridge.MeaningMessages:  "an exchange keeps nothing; what the queues behind it keep is theirs",
	bridge.MeaningExpiry:    "an exchange keeps nothing; what the queues behind it keep is theirs",
}
