package compare

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// alpha is the chance that a statement of confidence is ever wrong.
const alpha = 0.01

// Confidence is what a verdict is worth, at any time that one looks at it.
type Confidence struct {
	// Messages is how many were judged, and Differ how many of them differ.
	Messages, Differ uint64
	// Rate is below what rate messages differ, with 99 % confidence; 1 where nothing is
	// known.
	Rate float64
	// Spans is how many spans of ten seconds had messages that were judged, and Odd how
	// many had any that differ: messages that differ come together, and what is wrong for a
	// minute is one thing that is wrong. SpanRate is as Rate, of spans.
	Spans, Odd uint64
	SpanRate   float64
}

// String is one line for a person.
func (c Confidence) String() string {
	if c.Messages == 0 {
		return "nothing is judged yet"
	}
	if oneIn(c.Rate) == "1" {
		return "too little is judged, or differs too often, to say how many messages differ"
	}
	text := fmt.Sprintf("with 99 %% confidence fewer than 1 in %s messages differ", oneIn(c.Rate))
	if c.SpanRate < 0.5 {
		text += fmt.Sprintf(", and fewer than 1 in %s spans of 10 s", oneIn(c.SpanRate))
	}
	return text
}

// oneIn is a rate's inverse in two or three digits.
func oneIn(rate float64) string {
	n := 1 / rate
	switch {
	case n < 10:
		return strconv.FormatFloat(math.Floor(n*10)/10, 'f', -1, 64)
	case n < 1e4:
		return strconv.FormatFloat(math.Floor(n), 'f', 0, 64)
	case n < 1e6:
		return strconv.FormatFloat(math.Floor(n/1e2)/10, 'f', 1, 64) + " k"
	case n < 1e9:
		return strconv.FormatFloat(math.Floor(n/1e5)/10, 'f', 1, 64) + " M"
	}
	return strconv.FormatFloat(math.Floor(n/1e8)/10, 'f', 1, 64) + " G"
}

// trials count spans of time. Not for concurrent use.
type trials struct {
	since          time.Duration
	judged, differ uint64 // by then
	spans, odd     uint64
}

const span = 10 * time.Second

// look is told what a comparison has come to.
func (t *trials) look(now time.Duration, r *drift.Report) {
	if now-t.since < span {
		return
	}
	judged, differ := tally(r)
	if judged > t.judged {
		t.spans++
		if differ > t.differ {
			t.odd++
		}
	}
	t.since, t.judged, t.differ = now, judged, differ
}

// tally is how many messages are judged, and how many of them differ. One that differs in
// two ways counts twice, which is no less true of a bound.
func tally(r *drift.Report) (judged, differ uint64) {
	for k, n := range r.Drift {
		if kind := drift.Kind(k); kind != drift.StuckKey && kind != drift.Late {
			differ += n
		}
	}
	judged = r.Matched + r.Drift[drift.Missing] + r.Drift[drift.Extra] + r.Drift[drift.Duplicate]
	return judged, min(differ, judged)
}

func (t *trials) confidence(r *drift.Report) Confidence {
	c := Confidence{Spans: t.spans, Odd: t.odd}
	c.Messages, c.Differ = tally(r)
	c.Rate, c.SpanRate = drift.Bound(c.Messages, c.Differ, alpha), drift.Bound(c.Spans, c.Odd, alpha)
	return c
}
