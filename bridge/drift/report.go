package drift

// Report is the state of the comparison.
func (x *Exact) Report() Report {
	octets := x.slab.octets() + x.table.octets() + x.opts.Remember*30
	return Report{
		Counts: x.counts, Pending: x.pending, Oldest: x.oldest, Swept: x.swept, Reached: x.reached, Stuck: len(x.stuck), Grace: x.grace(),
		Lag: x.lag.percentile(0.5), LagMost: x.lag.percentile(0.999), Octets: octets, Unlisted: x.unlisted,
	}
}

// Balanced says that everything observed is accounted for.
func (r *Report) Balanced() bool {
	i := r.Matched + r.Repeats[Incumbent] + r.Drift[Missing] + r.Expired + r.Before[Incumbent] + r.Incomparable[Incumbent] + r.Pending[Incumbent]
	c := r.Matched + r.Repeats[Candidate] + r.Drift[Extra] + r.Drift[Duplicate] + r.Recovered + r.Before[Candidate] + r.Incomparable[Candidate] + r.Pending[Candidate]
	return i == r.Observed[Incumbent] && c == r.Observed[Candidate]
}
