package rabbitmq

import "slices"

// ackRuns makes of acknowledged tags the fewest basic.ack methods: one with
// "multiple" for the run that continues the tags below which all are
// acknowledged, single ones for the rest. It never sends "multiple" for a tag
// that was sent before: the broker would not find it, and take all. // I1
type ackRuns struct {
	floor uint64              // all tags up to this one are acknowledged
	ahead map[uint64]struct{} // the tags above it that are; few, since relays go in order
	sent  uint64              // tags acknowledged so far
	tags  []uint64
}

func newAckRuns() *ackRuns { return &ackRuns{ahead: map[uint64]struct{}{}} }

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
		if _, again := a.ahead[tag]; again {
			continue
		}
		a.sent++
		if tag != a.floor+1 {
			a.ahead[tag] = struct{}{}
			send(tag, false)
			continue
		}
		a.floor, run = tag, tag
		for len(a.ahead) > 0 {
			if _, next := a.ahead[a.floor+1]; !next {
				break
			}
			a.floor++
			delete(a.ahead, a.floor)
		}
	}
	if run > 0 {
		send(run, true)
	}
	a.tags = a.tags[:0]
}
