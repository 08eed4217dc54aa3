package drift

// repeats are those of the incumbent that the candidate had not, whose counterpart may
// still come: a relay sends most of them not on, and some late.
type repeats struct {
	open  map[identity]int
	order []identity // by when they were found
}

// mostRepeats is how many are remembered.
const mostRepeats = 1 << 16

func newRepeats() repeats { return repeats{open: map[identity]int{}} }

// add notes one.
func (r *repeats) add(who identity) {
	if len(r.order) >= mostRepeats {
		r.take(r.order[0])
		r.order = r.order[1:]
	}
	r.open[who]++
	r.order = append(r.order, who)
}

// take uses one up.
func (r *repeats) take(who identity) bool {
	if len(r.open) == 0 {
		return false
	}
	n, ok := r.open[who]
	if !ok {
		return false
	}
	if r.open[who] = n - 1; n == 1 {
		delete(r.open, who)
	}
	return true
}
