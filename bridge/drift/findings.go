package drift

import "time"

// mostFindings is how many findings wait to be taken.
const mostFindings = 1 << 16

// findings are what a comparison has found, with the time that it believes it is.
type findings struct {
	counts   Counts
	now      time.Duration
	list     []Finding
	unlisted uint64
}

// one notes a difference that one message shows by itself.
func (x *findings) one(k Kind, side Side, o *Observation) {
	f := Finding{Key: keyOf(o), ID: o.ID}
	if side == Incumbent {
		f.Incumbent = o.At
	} else {
		f.Candidate = o.At
	}
	x.found(k, f)
}

// found notes a difference.
func (x *findings) found(k Kind, f Finding) {
	x.counts.Drift[k]++
	f.Kind, f.Found = k, x.now
	if len(x.list) >= mostFindings {
		x.unlisted++
		return
	}
	x.list = append(x.list, f)
}

// Findings gives what was found since it was asked last, appended to dst.
func (x *findings) Findings(dst []Finding) []Finding {
	dst = append(dst, x.list...)
	x.list = x.list[:0]
	return dst
}
