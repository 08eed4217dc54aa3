package kafka

import (
	"cmp"
	"slices"
)

// An abortedFilter says which batches of one fetch of a partition a reader of
// committed records skips: a broker sends aborted transactions' records up to the
// last stable offset, with the list of where they begin. As Java's consumer does
// it (CompletedFetch.nextFetchedRecord).
type abortedFilter struct {
	aborted  []abortedTransaction // by first offset
	begun    int                  // how many of them
	aborting map[int64]struct{}   // producers in a transaction that has begun
}

// reset begins a fetch's record set with the list that came with it, which is
// copied, in whatever order it is.
func (f *abortedFilter) reset(aborted []abortedTransaction) {
	f.aborted, f.begun = append(f.aborted[:0], aborted...), 0
	slices.SortFunc(f.aborted, func(a, b abortedTransaction) int { return cmp.Compare(a.firstOffset, b.firstOffset) })
	clear(f.aborting)
}

// skip says whether no record of the batch is for the reader. It is asked for
// every batch, in order. A control batch is always skipped; marker is what its
// record says, and of no matter for other batches.
func (f *abortedFilter) skip(h *batchHeader, marker controlKind) bool {
	for f.begun < len(f.aborted) && f.aborted[f.begun].firstOffset <= h.lastOffset {
		if f.aborting == nil {
			f.aborting = make(map[int64]struct{})
		}
		f.aborting[f.aborted[f.begun].producerID] = struct{}{}
		f.begun++
	}
	if h.control() {
		if marker == controlAbort {
			delete(f.aborting, h.producerID)
		}
		return true
	}
	_, aborting := f.aborting[h.producerID]
	return h.transactional() && aborting
}
