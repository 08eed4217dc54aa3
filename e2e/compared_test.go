package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A comparisonStatus is what the stories read of a comparison's.
type comparisonStatus struct {
	Name      string            `json:"name"`
	State     string            `json:"state"`
	Why       string            `json:"why"`
	Verdict   string            `json:"verdict"`
	Incumbent comparedSide      `json:"incumbent"`
	Candidate comparedSide      `json:"candidate"`
	Matched   uint64            `json:"matched"`
	Drift     map[string]uint64 `json:"drift"`
	LagMost   float64           `json:"lag_most_seconds"`
	Outcomes  map[string]uint64 `json:"outcomes"`
	Fields    []struct {
		Path   string `json:"path"`
		Blamed bool   `json:"blamed"`
		Both   uint64 `json:"both"`
	} `json:"fields"`
}

type comparedSide struct {
	Connected    bool      `json:"connected"`
	Observed     uint64    `json:"observed"`
	Pending      uint64    `json:"pending"`
	Repeats      uint64    `json:"repeats"`
	Incomparable uint64    `json:"incomparable"`
	Before       uint64    `json:"before"`
	Read         time.Time `json:"read"` // up to when everything was
}

func (c *comparisonStatus) drifts() (n uint64) {
	for _, k := range c.Drift {
		n += k
	}
	return n
}

// compare has every relay's work compared, whose candidate can be read.
func (s *scene) compare() *scene {
	s.t.Helper()
	for _, r := range s.relays {
		if r.tap != "" {
			s.compared = append(s.compared, fmt.Sprintf("  - {name: compare-%s, relay: %s, candidate: %s}\n", r.name, r.name, r.tap))
		}
	}
	if len(s.compared) == 0 {
		s.t.Fatal("nothing of the scene can be compared")
	}
	return s
}

// awaitCompared waits until all that was observed is judged, and gives the comparisons.
func (s *scene) awaitCompared(within time.Duration, least uint64) (all []comparisonStatus) {
	s.t.Helper()
	var last []comparisonStatus
	defer func() {
		if s.t.Failed() {
			s.t.Logf("comparisons: %+v", last)
		}
	}()
	await(s.t, within, "everything compared", func() bool {
		st, err := s.bridge.status()
		if err != nil || len(st.Comparisons) != len(s.compared) {
			return false
		}
		last = st.Comparisons
		for i := range st.Comparisons {
			if c := &st.Comparisons[i]; c.Incumbent.Pending+c.Candidate.Pending > 0 || c.Matched < least {
				return false
			}
		}
		return true
	})
	return last
}

// awaitComparison waits until ok holds for the first comparison, and gives it.
func (s *scene) awaitComparison(what string, ok func(*comparisonStatus) bool) (last comparisonStatus) {
	s.t.Helper()
	defer func() {
		if s.t.Failed() {
			s.t.Logf("comparison: %+v", last)
		}
	}()
	await(s.t, patience, what, func() bool {
		if s.bridge.ended() {
			s.t.Fatalf("the bridge ended by itself\n%s", s.bridge.logTail(20))
		}
		st, err := s.bridge.status()
		if err != nil || len(st.Comparisons) != len(s.compared) {
			return false
		}
		last = st.Comparisons[0]
		return ok(&last)
	})
	return last
}

// bothRead says that a comparison reads both of its sides.
func bothRead(c *comparisonStatus) bool { return c.Incumbent.Connected && c.Candidate.Connected }

// awaitJudged waits until all that both sides have stored by now is read and judged.
func (s *scene) awaitJudged() comparisonStatus {
	s.t.Helper()
	now := time.Now()
	return s.awaitComparison("everything judged", func(c *comparisonStatus) bool {
		i, k := &c.Incumbent, &c.Candidate
		return i.Read.After(now) && k.Read.After(now) && i.Pending+k.Pending == 0
	})
}

// A difference is one that the bridge has logged, in any of its lives.
type difference struct {
	at                    time.Time
	kind, key, id, bundle string
	line                  string
}

// loggedDrift has the fields of such a line; texts are quoted where they have to be.
var loggedDrift = regexp.MustCompile(`^time=(\S+) .*msg=drift .*kind=(\S+) key=("(?:[^"\\]|\\.)*"|\S*) id=("(?:[^"\\]|\\.)*"|\S*) .*bundle=(\S+)$`)

// logged gives the differences that the bridge has logged.
func (s *scene) logged() (all []difference) {
	s.t.Helper()
	log, err := os.ReadFile(s.bridge.log)
	if err != nil {
		s.t.Fatal(err)
	}
	plain := func(text string) string {
		if p, err := strconv.Unquote(text); err == nil {
			return p
		}
		return text
	}
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "msg=drift ") {
			continue
		}
		fields := loggedDrift.FindStringSubmatch(strings.TrimSpace(line))
		if fields == nil {
			s.t.Fatalf("a line that cannot be read: %s", line)
		}
		at, err := time.Parse(time.RFC3339Nano, fields[1])
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, difference{at, fields[2], plain(fields[3]), plain(fields[4]), plain(fields[5]), line})
	}
	return all
}

// expectNoDrift is the promise about a candidate that is healthy: no drift in any life of
// the bridge, and nothing that could not be judged.
// What the incumbent never confirmed may be in one of two taps alone, where it was restarted.
func (s *scene) expectNoDrift(all []comparisonStatus) {
	s.t.Helper()
	torn := 0
	for _, d := range s.logged() {
		if len(s.disturb) == 0 || confirmed(s.book(), d.key, d.id) {
			s.t.Errorf("found, where nothing is: %s", d.line)
		}
		torn++
	}
	for i := range all {
		c := &all[i]
		if int(c.drifts()) > torn || torn == 0 && c.Verdict != "match" || c.Incumbent.Incomparable+c.Candidate.Incomparable > 0 {
			s.t.Errorf("%s: %+v", c.Name, *c)
		}
		s.notes = append(s.notes, fmt.Sprintf("%-24s matched %d since the last start, of %d and %d observed; drift %d", c.Name, c.Matched, c.Incumbent.Observed, c.Candidate.Observed, c.drifts()))
	}
	if torn > 0 {
		s.notes = append(s.notes, fmt.Sprintf("%d messages were never confirmed, and only one of two taps has them", torn))
	}
}

// Each healthy candidate is compared with its incumbent while the bridge, comparisons
// included, is killed again and again: nothing is found. At full size each is alone, at the
// load that the machine takes, and the incumbent is restarted too.
func TestHealthyCandidates(t *testing.T) {
	for i, from := range []string{quorum, stream, kafka, jetStream} {
		for j, g := range generations {
			if !full && i%len(generations) != j {
				continue
			}
			to := [][]string{{kafka, jetStream, stream}}
			if full {
				to = [][]string{{kafka}, {jetStream}, {stream}}
			}
			for _, to := range to {
				name := from + "/" + g.name
				if full {
					name = from + " to " + to[0] + "/" + g.name
				}
				t.Run(name, func(t *testing.T) {
					aloneIfFull(t)
					healthyCandidates(t, g, from, to, []ledger.Keys{ledger.Zipf10k, ledger.Keys100}[i%2])
				})
			}
		}
	}
}

func healthyCandidates(t *testing.T, g generation, from string, to []string, keys ledger.Keys) {
	title := from + " → " + strings.Join(to, ", ") + ", compared, the bridge killed"
	incumbent := map[string]brokers.Kind{kafka: brokers.KindKafka, jetStream: brokers.KindNATS}[from]
	if incumbent == "" {
		incumbent = brokers.KindRabbitMQ
	}
	var disturbed []brokers.Kind
	if full {
		title += ", the incumbent restarted"
		disturbed = append(disturbed, incumbent)
	}
	s := newScene(t, g, title, disturbed...)
	for _, to := range to {
		s.route(from, to)
	}
	s.compare().sizedLoad(keys, sized(6000, 6_600_000), sized(400, 11_000))
	s.pace.Window = sized(0, 8000)
	s.begin()
	began := time.Now()
	n := sized(3, 10)
	for k := range n {
		s.due(k, n)
		if full && k%2 == 1 {
			s.note("restart of " + string(incumbent))
			s.do(s.server(incumbent).Restart)
		} else {
			s.killBridge()
		}
	}
	s.enough()
	s.notes = append(s.notes, fmt.Sprintf("%d messages in %s, %.0f/s", s.book().Produced(), time.Since(began).Round(100*time.Millisecond), float64(s.book().Produced())/time.Since(began).Seconds()))
	s.each(func(r *relay) error { return ledger.Collect(t.Context(), r.book, r.reader, s.patience()) })
	all := s.awaitCompared(patience, 1)
	s.finish()
	s.expectNoDrift(all)
	s.expectNothingWrong()
}
