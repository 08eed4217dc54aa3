package kafka

// OffsetForLeaderEpoch (KIP-320) is a frame of our own, since kafka-go has none.

// epochsVersion is the version of it that is written and read; brokers have it since 2.3.
const epochsVersion = 3

// An epochQuestion asks where the records of a leader epoch end. Partitions of one topic
// stand next to each other.
type epochQuestion struct {
	topic   string
	index   int32
	current int32 // the epoch of the leader that is asked
	of      int32
}

// An epochAnswer says where the records of the epoch, or of the newest one before it, end.
// -1 is no such epoch.
type epochAnswer struct {
	topic     string
	index     int32
	errorCode int16
	epoch     int32
	end       int64
}

// appendEpochs appends the request's body.
func appendEpochs(dst []byte, questions []epochQuestion) []byte {
	dst = appendInt32(dst, -1) // no broker is asking
	topic := func(i int) string { return questions[i].topic }
	dst = appendInt32(dst, int32(topics(len(questions), topic)))
	for from := 0; from < len(questions); {
		to := topicEnd(from, len(questions), topic)
		dst = appendText(dst, topic(from), false)
		dst = appendInt32(dst, int32(to-from))
		for _, q := range questions[from:to] {
			dst = appendInt32(appendInt32(appendInt32(dst, q.index), q.current), q.of)
		}
		from = to
	}
	return dst
}

// readEpochs reads the response's body.
func readEpochs(body []byte) (answers []epochAnswer, err error) {
	c := cursor{b: body}
	c.int32() // throttle time
	for range c.count(6) {
		topic := string(c.name())
		for range c.count(18) {
			answers = append(answers, epochAnswer{topic: topic, errorCode: c.int16(), index: c.int32(), epoch: c.int32(), end: c.int64()})
		}
	}
	return answers, c.end("offset for leader epoch", epochsVersion)
}
