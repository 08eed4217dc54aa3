package kafka

import (
	"testing"

	"pgregory.net/rapid"
)

// A logged batch is one of a partition's, with the end of its transaction.
type loggedBatch struct {
	header  batchHeader
	marker  controlKind
	aborted *bool // of the batch's transaction; nil outside of one
}

// A partitionLog is what a broker does for one partition, as simply as can be.
type partitionLog struct {
	batches []loggedBatch
	end     int64
	open    map[int64]*openTransaction // by producer
	aborted []endedTransaction
}

type openTransaction struct {
	first   int64
	aborted *bool
}

type endedTransaction struct {
	abortedTransaction
	last int64
}

func (l *partitionLog) append(producer int64, attributes int16, offsets int64, marker controlKind, aborted *bool) {
	h := batchHeader{baseOffset: l.end, lastOffset: l.end + offsets - 1, attributes: attributes, producerID: producer}
	l.batches = append(l.batches, loggedBatch{h, marker, aborted})
	l.end += offsets
}

// produce writes a batch of a transaction, which begins with it where none is open.
func (l *partitionLog) produce(producer, offsets int64) {
	tx := l.open[producer]
	if tx == nil {
		tx = &openTransaction{first: l.end, aborted: new(bool)}
		l.open[producer] = tx
	}
	l.append(producer, 1<<4, offsets, controlOther, tx.aborted)
}

// finish ends a producer's transaction; without one there is a marker all the same.
func (l *partitionLog) finish(producer int64, marker controlKind) {
	if tx := l.open[producer]; tx != nil && marker == controlAbort {
		*tx.aborted = true
		l.aborted = append(l.aborted, endedTransaction{abortedTransaction{producer, tx.first}, l.end})
	}
	delete(l.open, producer)
	l.append(producer, 1<<4|1<<5, 1, marker, nil)
}

// stable is the last stable offset.
func (l *partitionLog) stable() int64 {
	v := l.end
	for _, tx := range l.open {
		v = min(v, tx.first)
	}
	return v
}

// between is the list that comes with a fetch.
func (l *partitionLog) between(from, to int64) (out []abortedTransaction) {
	for _, a := range l.aborted {
		if a.last >= from && a.firstOffset < to {
			out = append(out, a.abortedTransaction)
		}
	}
	return out
}

func drawLog(t *rapid.T) *partitionLog {
	l := &partitionLog{open: map[int64]*openTransaction{}}
	for range rapid.IntRange(0, 60).Draw(t, "operations") {
		producer := rapid.Int64Range(1, 4).Draw(t, "producer")
		offsets := rapid.Int64Range(1, 4).Draw(t, "offsets")
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0, 1, 2:
			l.produce(producer, offsets)
		case 3:
			l.finish(producer, controlAbort)
		case 4:
			l.finish(producer, controlCommit)
		case 5:
			if l.open[producer] == nil { // plain batches behind the fence's own abort
				l.append(producer, 0, offsets, controlOther, nil)
			}
			l.append(noProducer, 0, offsets, controlOther, nil)
		}
	}
	return l
}

// From wherever a log is read, compacted or not, every record of an aborted
// transaction is skipped, every marker too, and nothing else.
func TestTheFilterSkipsWhatWasAborted(t *testing.T) {
	var f abortedFilter
	rapid.Check(t, func(t *rapid.T) {
		l := drawLog(t)
		for range 3 {
			from := rapid.Int64Range(0, l.end).Draw(t, "from")
			to := l.stable()
			f.reset(rapid.Permutation(l.between(from, rapid.Int64Range(to, l.end).Draw(t, "bound"))).Draw(t, "aborted"))
			for i := range l.batches {
				b := &l.batches[i]
				if b.header.lastOffset < from || b.header.baseOffset >= to {
					continue
				}
				if !b.header.control() && rapid.IntRange(0, 4).Draw(t, "compacted") == 0 {
					continue
				}
				want := b.header.control() || b.aborted != nil && *b.aborted
				if got := f.skip(&b.header, b.marker); got != want {
					t.Fatalf("from %d: batch %d to %d of producer %d (attributes %b): skip %v, want %v",
						from, b.header.baseOffset, b.header.lastOffset, b.header.producerID, b.header.attributes, got, want)
				}
			}
		}
	})
}

// What no broker's log has, and what Java's consumer would do of it all the same.
func TestTheFilterByTheLetter(t *testing.T) {
	const transactional, control = 1 << 4, 1 << 5
	batch := func(producer int64, attributes int16) *batchHeader {
		return &batchHeader{producerID: producer, attributes: attributes}
	}
	var f abortedFilter
	f.reset([]abortedTransaction{{1, 0}})
	for _, c := range []struct {
		what   string
		h      *batchHeader
		marker controlKind
		want   bool
	}{
		{"a batch of the aborted transaction", batch(1, transactional), controlOther, true},
		{"another producer's", batch(2, transactional), controlOther, false},
		{"a plain batch of that producer", batch(1, 0), controlOther, false},
		{"another producer's abort", batch(2, transactional|control), controlAbort, true},
		{"still aborted", batch(1, transactional), controlOther, true},
		{"a commit, which ends no aborted transaction", batch(1, transactional|control), controlCommit, true},
		{"still aborted", batch(1, transactional), controlOther, true},
		{"the abort", batch(1, transactional|control), controlAbort, true},
		{"the transaction after it", batch(1, transactional), controlOther, false},
	} {
		if got := f.skip(c.h, c.marker); got != c.want {
			t.Errorf("%s: skip %v, want %v", c.what, got, c.want)
		}
	}
}

// A reader of everything has no list, and still no markers.
func TestTheFilterWithoutAList(t *testing.T) {
	var f abortedFilter
	f.reset([]abortedTransaction{{1, 0}})
	h := batchHeader{attributes: 1 << 4, producerID: 1}
	if !f.skip(&h, controlOther) {
		t.Error("an aborted batch is read")
	}
	f.reset(nil)
	if f.skip(&h, controlOther) {
		t.Error("a batch is skipped for what an earlier fetch said")
	}
	h.attributes |= 1 << 5
	if !f.skip(&h, controlCommit) {
		t.Error("a marker is read")
	}
}
