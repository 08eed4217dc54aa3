package rabbitmq

import "slices"

// ackRuns makes of acknowledged tags the fewest basic.ack methods: one with
// "multiple" for the run that continues the tags below which all are
// acknowledged, single ones for the rest. It never sends "multiple" for a tag
// that was sent before: the broker would not find it, and take all. // I1
type ackRuns struct {
	floor uint64   // all tags up to this one are acknowledged
	ahead []uint64 // bits of the tags above it, as a ring
	mask  uint64
	sent  uint64 // tags acknowledged so far
	tags  []uint64
}

// newAckRuns takes the largest number of tags outstanding at a time.
func newAckRuns(outstanding int) *ackRuns {
	size := uint64(64)
	for size < uint64(outstanding)+1 {
		size *= 2
	}
	return &ackRuns{ahead: make([]uint64, size/64), mask: size - 1}
}

func (a *ackRuns) bit(tag uint64) (*uint64, uint64) {
	i := tag & a.mask
	return &a.ahead[i/64], 1 << (i % 64)
}

// add notes a tag to be acknowledged.
func (a *ackRuns) add(tag uint64) { a.tags = append(a.tags, tag) }

// flush calls send for each method. Tags beyond the newest that was delivered
// are passed over, as are repeats.
func (a *ackRuns) flush(newest uint64, send func(tag uint64, multiple bool)) {
	if !slices.IsSorted(a.tags) {
		slices.Sort(a.tags)
	}
	run := uint64(0)
	for _, tag := range a.tags {
		if tag <= a.floor || tag > newest {
			continue
		}
		word, bit := a.bit(tag)
		if *word&bit != 0 {
			continue
		}
		a.sent++
		if tag != a.floor+1 {
			*word |= bit
			send(tag, false)
			continue
		}
		a.floor, run = tag, tag
		for {
			word, bit := a.bit(a.floor + 1)
			if *word&bit == 0 {
				break
			}
			*word &^= bit
			a.floor++
		}
	}
	if run > 0 {
		send(run, true)
	}
	a.tags = a.tags[:0]
}
