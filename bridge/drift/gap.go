package drift

import "time"

type interval struct{ from, to time.Duration }

// mostGaps is how many gaps of a side are told apart; older ones become one.
const mostGaps = 256

// Gap says that a side's reader has not seen everything that came between two times.
// What might have its counterpart there is incomparable from now on: absence of
// evidence is no drift.
func (x *Exact) Gap(side Side, from, to time.Duration) {
	g := append(x.gaps[side], interval{from, to})
	if len(g) > mostGaps {
		g[1] = interval{min(g[0].from, g[1].from), max(g[0].to, g[1].to)}
		g = g[1:]
	}
	x.gaps[side] = g
}

// inGap says that a side had a gap between two times.
func (x *Exact) inGap(side Side, from, to time.Duration) bool {
	for _, g := range x.gaps[side] {
		if g.from <= to && from <= g.to {
			return true
		}
	}
	return false
}
