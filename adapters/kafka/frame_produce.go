package kafka

// A produceRequest asks a leader to write one batch for each partition
// (ProduceRequest v3 to v8), with acks -1 and outside of any transaction.
type produceRequest struct {
	timeout    int32 // milliseconds that the leader waits for its followers
	partitions []producePartition
}

// A producePartition is one batch and where it goes. Partitions of one topic stand
// next to each other.
type producePartition struct {
	topic string
	index int32
	batch []byte
}

// A produceResponse is what the leader answered. It is read over and over into
// the same one, without allocation for topics that were there the time before.
type produceResponse struct {
	throttle   int32 // milliseconds
	partitions []produceResult
}

// A produceResult is the answer for one partition. Everything but the error code is
// -1 or empty where that is not 0, or where the version has it not.
type produceResult struct {
	topic          string
	index          int32
	errorCode      int16
	baseOffset     int64
	logAppendTime  int64 // milliseconds since 1970, where the topic keeps append times
	logStartOffset int64
	records        []refusedRecord // v8: the records for whose sake the batch was refused
	message        string          // v8
}

// A refusedRecord is what is wrong with one record, by its index in the batch.
type refusedRecord struct {
	index   int32
	message string
}

// appendProduce appends the request's body. Batches are copied.
func appendProduce(dst []byte, _ int16, r *produceRequest) []byte {
	dst = appendInt16(dst, -1) // no transactional ID
	dst = appendInt16(dst, -1) // acks of all in-sync replicas
	dst = appendInt32(dst, r.timeout)
	topic := func(i int) string { return r.partitions[i].topic }
	dst = appendInt32(dst, int32(topics(len(r.partitions), topic)))
	for from := 0; from < len(r.partitions); {
		n := topicEnd(from, len(r.partitions), topic) - from
		dst = appendText(dst, topic(from), false)
		dst = appendInt32(dst, int32(n))
		for _, p := range r.partitions[from : from+n] {
			dst = appendInt32(dst, p.index)
			dst = appendInt32(dst, int32(len(p.batch)))
			dst = append(dst, p.batch...)
		}
		from += n
	}
	return dst
}

// topicEnd is the index behind the run of entries that have from's topic.
func topicEnd(from, n int, topic func(int) string) int {
	to := from + 1
	for to < n && topic(to) == topic(from) {
		to++
	}
	return to
}

// topics is the number of such runs.
func topics(n int, topic func(int) string) (runs int) {
	for from := 0; from < n; from = topicEnd(from, n, topic) {
		runs++
	}
	return runs
}

// readProduce reads the response's body. Nothing of it is kept.
func readProduce(body []byte, version int16, into *produceResponse) error {
	c := cursor{b: body}
	into.partitions = into.partitions[:0]
	for range c.count(6) {
		topic := c.name()
		for range c.count(22) {
			into.partitions = grown(into.partitions)
			into.partitions[len(into.partitions)-1].read(&c, version, topic)
		}
	}
	into.throttle = c.int32()
	return c.end("produce", version)
}

func (p *produceResult) read(c *cursor, version int16, topic []byte) {
	p.topic = same(p.topic, topic)
	p.index, p.errorCode = c.int32(), c.int16()
	p.baseOffset, p.logAppendTime = c.int64(), c.int64()
	p.logStartOffset, p.records, p.message = -1, p.records[:0], ""
	if version >= 5 {
		p.logStartOffset = c.int64()
	}
	if version >= 8 {
		for range c.count(6) {
			p.records = append(p.records, refusedRecord{c.int32(), string(c.text())})
		}
		p.message = string(c.text())
	}
}
