package drift

import "math"

// Bound is below what rate messages differ, with confidence 1-alpha, after n were judged
// of which so many differed: "fewer than 1 in 1/Bound". It may be looked at at any time,
// as often as one likes: the chance that it is ever wrong is at most alpha, if one
// message differs or not whatever the others do. Ask for it once with messages and once
// with windows, since messages are not quite like that.
//
// It is where an e-process against "the rate is at least p" reaches 1/alpha (Ville's
// inequality; Ramdas and others, Game-theoretic statistics and safe anytime-valid
// inference, 2023): a mixture of the likelihood ratios of rate 0 and of rates spread
// evenly below p. Without any difference that is about ln(1/alpha)/n.
func Bound(n, differ uint64, alpha float64) float64 {
	switch {
	case n == 0 || differ >= n:
		return 1
	case alpha <= 0 || alpha >= 1:
		return math.NaN()
	}
	enough := math.Log(1 / alpha)
	low, high := math.Log(1e-18), 0.0 // of the rate
	for range 60 {
		p := (low + high) / 2
		if evidence(n, differ, math.Exp(p)) >= enough {
			high = p
		} else {
			low = p
		}
	}
	return math.Exp(high)
}

// never is the weight of rate 0 in the mixture.
const never = 0.9

// evidence is the logarithm of the e-process.
func evidence(n, differ uint64, p float64) float64 {
	if p >= 1 {
		return math.Inf(1)
	}
	same := float64(n - differ)
	spread := math.Log(1-never) + evenly(same, float64(differ), p)
	if differ > 0 {
		return spread
	}
	return logSum(math.Log(never)-same*math.Log1p(-p), spread)
}

// evenly is the logarithm of the mean of the likelihood ratio over rates between 0 and
// p, by the trapezoid rule around where it is greatest.
func evenly(same, differ, p float64) float64 {
	at := func(t float64) float64 { // the rate is t times p
		v := same * (math.Log1p(-p*t) - math.Log1p(-p))
		if differ > 0 {
			v += differ * math.Log(t)
		}
		return v
	}
	const steps = 500
	peak := 0.0
	if differ > 0 {
		peak = min(1, differ/((same+differ)*p))
	}
	wide := 40 * math.Sqrt(differ+1) / ((same + differ) * p) // beyond that next to nothing
	from, to := max(0, peak-wide), min(1, peak+wide)
	sum, h := math.Inf(-1), (to-from)/steps
	for i := range steps {
		sum = logSum(sum, at(from+(float64(i)+0.5)*h))
	}
	return sum + math.Log(h)
}

// logSum is the logarithm of the sum of what a and b are the logarithms of.
func logSum(a, b float64) float64 {
	a, b = max(a, b), min(a, b)
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
