package drift

import "math"

// A Coin tells a candidate's own faults from noise that the incumbent's consumer has
// too. Where the same consumer runs twice on the incumbent, a primary and a control, and
// once on the candidate, a record of which only one of control and candidate differs
// from the primary says which of the two is odd. If the candidate is no worse than
// another run of the incumbent that is a fair coin.
//
// This is McNemar's test made sequential: it may be looked at at any time. A field that
// is noise on both sides comes out fair however often it differs, and needs no threshold.
type Coin struct {
	// Candidate and Control are how often each was the odd one.
	Candidate, Control uint64
}

// Toss notes what one record showed. Where both differ from the primary, or none does,
// it says nothing.
func (c *Coin) Toss(candidateDiffers, controlDiffers bool) {
	switch {
	case candidateDiffers && !controlDiffers:
		c.Candidate++
	case controlDiffers && !candidateDiffers:
		c.Control++
	}
}

// Blames says that the candidate is odd more often than chance has it; the probability
// that it is ever said of a candidate that is no worse than the control is at most
// alpha.
func (c Coin) Blames(alpha float64) bool { return c.evidence() >= math.Log(1/alpha) }

// evidence is the logarithm of the e-process against "no more often than half": the mean
// of the likelihood ratio over probabilities between a half and one.
func (c Coin) evidence() float64 {
	a, b := float64(c.Candidate), float64(c.Control)
	if a == 0 {
		return math.Inf(-1)
	}
	at := func(p float64) float64 { return a*math.Log(2*p) + b*math.Log(2*(1-p)) }
	peak := min(max(a/(a+b), 0.5), 1)
	wide := 12 / math.Sqrt(a+b)
	const steps = 300
	from, to := max(0.5, peak-wide), min(1, peak+wide)
	sum, h := math.Inf(-1), (to-from)/steps
	for i := range steps {
		sum = logSum(sum, at(from+(float64(i)+0.5)*h))
	}
	return sum + math.Log(h) + math.Ln2
}
