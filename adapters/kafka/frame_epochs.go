package kafka

// OffsetForLeaderEpoch (KIP-320) is a frame of our own, since kafka-go has none.

// The versions of it that are written and read.
const (
	leastEpochs = 2
	mostEpochs  = 3
)

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

// appendEpochs appends the request's body (OffsetForLeaderEpochRequest v2 and v3).
func appendEpochs(dst []byte, version int16, questions []epochQuestion) []byte {
	if version >= 3 {
		dst = appendInt32(dst, -1) // no broker is asking
	}
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
func readEpochs(body []byte, version int16) (answers []epochAnswer, err error) {
	c := cursor{b: body}
	c.int32() // throttle time
	for range c.count(6) {
		topic := string(c.name())
		for range c.count(18) {
			answers = append(answers, epochAnswer{topic: topic, errorCode: c.int16(), index: c.int32(), epoch: c.int32(), end: c.int64()})
		}
	}
	return answers, c.end("offset for leader epoch", version)
}
