package kafka

// The isolation levels of a fetch.
const (
	readUncommitted int8 = 0
	readCommitted   int8 = 1
)

// fetchFlexible is the first version with compact lengths and tagged fields, fetchIDs
// the first that names topics by their IDs and not by their names.
const (
	fetchFlexible = 12
	fetchIDs      = 13
)

// A fetchRequest asks a broker for what follows an offset, for some partitions of
// its (FetchRequest v4 to v13), without a fetch session (KIP-227).
type fetchRequest struct {
	maxWait    int32 // milliseconds that the broker waits for minBytes
	minBytes   int32
	maxBytes   int32 // for all partitions; but the first batch there is comes whole
	isolation  int8
	rack       string // v11: of the reader, for a replica that is near (KIP-392)
	partitions []fetchPartition
}

// A fetchPartition is where one partition is to be read from. Partitions of one
// topic stand next to each other.
type fetchPartition struct {
	topic       string
	index       int32
	leaderEpoch int32 // v9: -1 where it is not known
	offset      int64
	maxBytes    int32
	id          topicID // v13: in place of topic
}

// A fetchResponse is what the broker answered. It is read over and over into the
// same one, without allocation for topics that were there the time before.
type fetchResponse struct {
	throttle   int32 // milliseconds
	errorCode  int16 // v7: for the request as a whole
	partitions []fetchedPartition
}

// A fetchedPartition is the answer for one partition. What the version does not
// have is -1.
type fetchedPartition struct {
	topic            string // up to v12
	id               topicID
	index            int32
	errorCode        int16
	highWatermark    int64
	lastStableOffset int64
	logStartOffset   int64
	aborted          []abortedTransaction // only where committed records were asked for
	preferredReplica int32                // -1: go on here
	records          []byte               // a record set, which is part of the response's octets
}

// An abortedTransaction is one whose records a reader of committed ones is sent
// all the same.
type abortedTransaction struct {
	producerID  int64
	firstOffset int64
}

// appendFetch appends the request's body.
func appendFetch(dst []byte, version int16, r *fetchRequest) []byte {
	flexible := version >= fetchFlexible
	dst = appendInt32(dst, -1) // no broker is asking
	dst = appendInt32(dst, r.maxWait)
	dst = appendInt32(dst, r.minBytes)
	dst = appendInt32(dst, r.maxBytes)
	dst = append(dst, byte(r.isolation))
	if version >= 7 {
		dst = appendInt32(dst, 0)  // no session
		dst = appendInt32(dst, -1) // nor the wish for one
	}
	topic := func(i int) string { return r.partitions[i].topic }
	dst = appendCount(dst, topics(len(r.partitions), topic), flexible)
	for from := 0; from < len(r.partitions); {
		n := topicEnd(from, len(r.partitions), topic) - from
		if version >= fetchIDs {
			dst = append(dst, r.partitions[from].id[:]...)
		} else {
			dst = appendText(dst, topic(from), flexible)
		}
		dst = appendCount(dst, n, flexible)
		for i := range n {
			dst = r.partitions[from+i].append(dst, version)
		}
		dst = appendNoTags(dst, flexible)
		from += n
	}
	if version >= 7 {
		dst = appendCount(dst, 0, flexible) // nothing is forgotten
	}
	if version >= 11 {
		dst = appendText(dst, r.rack, flexible)
	}
	return appendNoTags(dst, flexible)
}

func (p *fetchPartition) append(dst []byte, version int16) []byte {
	dst = appendInt32(dst, p.index)
	if version >= 9 {
		dst = appendInt32(dst, p.leaderEpoch)
	}
	dst = appendInt64(dst, p.offset)
	if version >= 12 {
		dst = appendInt32(dst, -1) // no epoch of what was fetched last
	}
	if version >= 5 {
		dst = appendInt64(dst, -1) // only followers have a log start
	}
	return appendNoTags(appendInt32(dst, p.maxBytes), version >= fetchFlexible)
}

// readFetch reads the response's body, of which into.partitions keep the record
// sets.
func readFetch(body []byte, version int16, into *fetchResponse) error {
	c := cursor{b: body, flexible: version >= fetchFlexible}
	into.partitions = into.partitions[:0]
	into.throttle, into.errorCode = c.int32(), 0
	if version >= 7 {
		into.errorCode = c.int16()
		c.int32() // the session: none
	}
	for range c.count(3) {
		var topic []byte
		var id topicID
		if version >= fetchIDs {
			copy(id[:], c.take(len(id)))
		} else {
			topic = c.name()
		}
		for range c.count(30) {
			into.partitions = grown(into.partitions)
			p := &into.partitions[len(into.partitions)-1]
			p.read(&c, version, topic)
			p.id = id
		}
		c.tags()
	}
	c.tags()
	return c.end("fetch", version)
}

func (p *fetchedPartition) read(c *cursor, version int16, topic []byte) {
	p.topic = same(p.topic, topic)
	p.index, p.errorCode = c.int32(), c.int16()
	p.highWatermark, p.lastStableOffset, p.logStartOffset = c.int64(), c.int64(), -1
	if version >= 5 {
		p.logStartOffset = c.int64()
	}
	p.aborted = p.aborted[:0]
	for range c.count(16) {
		p.aborted = append(p.aborted, abortedTransaction{c.int64(), c.int64()})
		c.tags()
	}
	p.preferredReplica = -1
	if version >= 11 {
		p.preferredReplica = c.int32()
	}
	p.records = c.bytes()
	c.tags()
}
