package compare

import (
	"math"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// An engine is one of drift's two modes.
type engine interface {
	// observe takes in messages of a side, in order.
	observe(side drift.Side, obs []drift.Observation)
	// begin says up to when what one side alone has may be from before the other was read;
	// always is for now.
	begin(until time.Duration)
	// align says that both sides have been read up to where both readers were there.
	align()
	// mark adds what the mode needs to know of how far readers have come.
	mark(now time.Duration, w *drift.Watermarks)
	// gap says that a side's reader has not seen everything that came between two times.
	gap(side drift.Side, from, to time.Duration)
	Advance(now time.Duration, w drift.Watermarks)
	Findings(dst []drift.Finding) []drift.Finding
	Report() drift.Report
}

func newEngine(cfg *Config, epoch time.Time) engine {
	if cfg.Windows == nil {
		x := exact{drift.NewExact(cfg.Drift)}
		if !cfg.Whole {
			x.Hold()
		}
		return x
	}
	x := &windowed{Constant: drift.NewConstant(drift.ConstantOptions{
		Late: cfg.Drift.Late, Stuck: cfg.Drift.Stuck, Remember: cfg.Drift.Remember, Keys: cfg.Drift.Keys,
	}), windows: cfg.Windows, epoch: epoch}
	x.Begin(math.MaxInt64)
	return x
}

// exact holds what waits.
type exact struct{ *drift.Exact }

func (x exact) observe(side drift.Side, obs []drift.Observation) { x.ObserveAll(side, obs) }
func (x exact) begin(until time.Duration)                        { x.Begin(until) }
func (x exact) align()                                           { x.Align() }
func (exact) mark(time.Duration, *drift.Watermarks)              {}

func (x exact) gap(side drift.Side, from, to time.Duration) { x.Gap(side, from, to) }

// windowed holds a sketch for each window of the messages' own time.
type windowed struct {
	*drift.Constant
	windows *Windows
	epoch   time.Time
	begun   bool
}

// observe puts messages into their windows. What has no time of its own has none.
func (x *windowed) observe(side drift.Side, obs []drift.Observation) {
	n := 0
	for i := range obs {
		if obs[i].Time == 0 {
			x.Unreadable(side)
			continue
		}
		obs[n] = obs[i]
		obs[n].Window = x.windows.windowOf(x.epoch.Add(obs[i].Time))
		n++
	}
	x.ObserveAll(side, obs[:n])
}

func (x *windowed) begin(until time.Duration) {}
func (x *windowed) align()                    {}

// gap makes windows incomparable: those of what may have been stored between two times.
func (x *windowed) gap(side drift.Side, from, to time.Duration) {
	w := x.windows
	x.Gap(side, w.windowOf(x.epoch.Add(from-w.Lateness-w.Behind)), w.windowOf(x.epoch.Add(to)))
}

// windowOf is the window that a time is in.
func (w *Windows) windowOf(at time.Time) int64 { return at.UnixNano() / int64(w.Every) }

// mark says which windows are over: at the incumbent once all that was stored within the
// lateness is read, at the candidate when it is proved to have passed, or was given time
// enough. What is from before both were read is in windows before the first that is judged.
func (x *windowed) mark(now time.Duration, w *drift.Watermarks) {
	lateness, behind := x.windows.Lateness, x.windows.Behind
	over := func(read, less time.Duration) int64 {
		if read == 0 {
			return 0
		}
		return x.windows.windowOf(x.epoch.Add(read - less))
	}
	w.Windows[drift.Incumbent] = over(w.Read[drift.Incumbent], lateness)
	w.Windows[drift.Candidate] = max(over(w.Read[drift.Candidate], lateness+behind), over(w.Passed, lateness))
	if !x.begun && w.Read[drift.Incumbent] > 0 && w.Read[drift.Candidate] > 0 {
		x.begun = true
		x.Begin(x.windows.windowOf(x.epoch.Add(now)) + ahead)
	}
}

// ahead is how many windows ahead the first is that is judged: nothing of it can have come
// yet, even where producers' clocks are somewhat fast.
const ahead = 2
