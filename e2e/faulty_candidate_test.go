package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A fault is what the spoiler does to a message, and as what it has to be found.
type fault struct {
	name  string
	found []string // the kinds of drift; none is no drift
	share int      // how many are planted at reduced size, and ten times as many at full
	spoil func(*spoiler, *letter) error
	fits  func(*faulty, place) bool // nil: every message
}

// What the comparison allows, and how long the spoiler holds a key that is to be late, and
// one that is to be stuck, which is late too when it comes.
const (
	objective  = 4 * time.Second
	delayFor   = 6 * time.Second
	stuckAfter = 8 * time.Second
	stallFor   = 11 * time.Second
	aside      = 2 * time.Second // what messages may take of themselves
)

// The faults. A message that is to be late or stuck is one of a key of which nothing else
// comes for as long, so that it alone is.
var faultTable = []fault{
	{"drop", []string{"missing"}, 8, func(*spoiler, *letter) error { return nil }, nextIsNear},
	{"duplicate behind the next of its key", []string{"duplicate"}, 8, func(s *spoiler, l *letter) error {
		err := s.pass(l)
		s.behind[l.key] = s.again(l)
		return err
	}, nextIsNear},
	{"swap with the next of its key", []string{"reordered"}, 8, func(s *spoiler, l *letter) error {
		s.behind[l.key] = l
		return nil
	}, nextIsNear},
	{"swap with the next of another key", nil, 8, func(s *spoiler, l *letter) error {
		s.across = append(s.across, l)
		return nil
	}, nil},
	{"flip a bit of the body", []string{"corrupted"}, 8, func(s *spoiler, l *letter) error {
		body := slices.Clone(s.medium.body(l.raw))
		body[len(body)/2] ^= 4
		s.medium.setBody(l.raw, body)
		return s.pass(l)
	}, hasBody},
	{"truncate the body", []string{"corrupted"}, 8, func(s *spoiler, l *letter) error {
		body := s.medium.body(l.raw)
		s.medium.setBody(l.raw, body[:len(body)-1])
		return s.pass(l)
	}, hasBody},
	{"strip a header", []string{"header_lossy"}, 8, func(s *spoiler, l *letter) error {
		s.medium.strip(l.raw)
		return s.pass(l)
	}, nil},
	{"another type of a header", []string{"header_lossy"}, 8, func(s *spoiler, l *letter) error {
		if err := s.medium.narrow(l.raw); err != nil {
			return err
		}
		return s.pass(l)
	}, hasMore},
	{"acknowledge, then lose", []string{"missing"}, 4, func(*spoiler, *letter) error { return nil }, nextIsNear},
	{"publish twice", []string{"duplicate"}, 4, func(s *spoiler, l *letter) error {
		if err := s.writeAll([]*letter{l}); err != nil {
			return err
		}
		return s.pass(s.again(l))
	}, nil},
	{"delay beyond the objective", []string{"late"}, 2, func(s *spoiler, l *letter) error { return s.holdKey(l, delayFor) },
		func(f *faulty, p place) bool { return f.alone(p, delayFor) }},
	{"stall the key", []string{"stuck_key", "late"}, 2, func(s *spoiler, l *letter) error { return s.holdKey(l, stallFor) },
		func(f *faulty, p place) bool { return f.alone(p, stallFor) }},
}

// A place is a message among those of its key.
type place struct {
	numbers []int // of the key
	at      int
}

func (p place) number() int { return p.numbers[p.at] }

// nextIsNear says that waiting for the next of the key takes not long.
func nextIsNear(f *faulty, p place) bool { return p.numbers[p.at+1]-p.number() < f.pace.Rate/2 }

func hasBody(f *faulty, p place) bool { return len(f.plan.Body(p.number())) > 1 }

// hasMore says that the message has headers of all types.
func hasMore(_ *faulty, p place) bool { return p.number()%8 == 0 }

// alone says that nothing else of the key comes for as long as it is held.
func (f *faulty) alone(p place, held time.Duration) bool {
	return p.numbers[p.at+1]-p.number() > f.pace.Rate*int((held+aside)/time.Second)
}

// apart is how many messages of a key are between two faults, at least; and as much of the
// load as goes by in the time that messages may take of themselves.
const apart = 16

// A faulty is a scene with a spoiler between the relay and the candidate.
type faulty struct {
	*scene
	plan     *ledger.Plan
	wrong    map[int]fault // by number
	evidence string        // folder
	windows  bool          // compared by windows too, for which messages have to have times
	grace    time.Duration // the longest that there has been
}

// TestFaultyCandidate: a candidate has faults that were planted, on its way from the relay.
// Each is found as what it is, in time, and leaves a bundle that replays; nothing else is
// found.
func TestFaultyCandidate(t *testing.T) {
	for i, route := range []struct{ from, to string }{{stream, kafka}, {kafka, jetStream}, {jetStream, stream}} {
		for _, g := range generations {
			if !g.has(i) || i == 1 && g != generations[1] {
				continue
			}
			name := route.from + " to " + route.to
			if i != 1 {
				name += "/" + g.name
			}
			t.Run(name, func(t *testing.T) {
				aloneIfFull(t)
				faultyCandidate(t, g, route.from, route.to)
			})
		}
	}
}

func faultyCandidate(t *testing.T, g generation, from, to string) {
	f := &faulty{scene: newScene(t, g, fmt.Sprintf("%s → %s, a candidate with planted faults", from, to)), windows: from == kafka}
	f.route(from, to).sizedLoad(ledger.Zipf10k, sized(6000, 300_000), sized(300, 2000))
	f.load.Messages = f.least // the faults are planted in all of it
	f.plan = ledger.NewPlan(f.load)
	f.plantFaults()
	spoiler := newSpoiler(f.spoiled(to), f.plan, f.wrong)
	f.open()
	f.awaitComparison("both sides read", bothRead)
	f.awaitWindows(2*ahead*windowEvery, "windows to begin")
	f.load.Began, f.load.Due = time.Now(), f.pace.Rate
	f.play()
	spoiled := make(chan error, 1)
	go func() { spoiled <- spoiler.run(t.Context()) }()
	ended := func() (ended bool) {
		select {
		case err := <-spoiled:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
			f.look()
			return false
		}
	}
	await(t, 10*patience, "everything copied", ended)
	c := f.awaitJudged()
	f.look()
	f.judgeWindows()
	f.finish()
	f.judge(&c)
	f.expectNothingWrong()
}

// plantFaults decides which messages have which fault.
func (f *faulty) plantFaults() {
	f.t.Helper()
	byKey := map[string][]int{}
	for n := 1; n <= f.plan.Messages; n++ {
		byKey[f.plan.Name(n)] = append(byKey[f.plan.Name(n)], n)
	}
	var places []place
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		for at := range byKey[key] {
			places = append(places, place{byKey[key], at})
		}
	}
	f.wrong = map[int]fault{}
	rng := rand.New(rand.NewPCG(f.rng.Uint64(), 0))
	for _, one := range slices.Backward(faultTable) { // the choosiest first
		left := sized(one.share, 10*one.share)
		for _, i := range rng.Perm(len(places)) {
			if left > 0 && f.free(places[i]) && (one.fits == nil || one.fits(f, places[i])) {
				f.wrong[places[i].number()] = one
				left--
			}
		}
		if left > 0 {
			f.t.Fatalf("%d × %s do not fit into the load", left, one.name)
		}
	}
}

// free says that a message has others of its key behind it and no fault near, and comes when
// the comparison is at work.
func (f *faulty) free(p place) bool {
	if p.number() < f.pace.Rate || p.at+1 >= len(p.numbers) {
		return false
	}
	for _, step := range []int{-1, 1} {
		for i := p.at; i >= 0 && i < len(p.numbers); i += step {
			messages, meanwhile := (i-p.at)*step, (p.numbers[i]-p.number())*step
			if messages > apart && meanwhile > f.pace.Rate*int(aside/time.Second) {
				break
			}
			if _, planted := f.wrong[p.numbers[i]]; planted {
				return false
			}
		}
	}
	return true
}

// spoiled makes the candidate and the comparison with it, and gives the way there from what
// the relay writes. The comparison names the relay, though how far that has come, and where it
// places messages, says nothing of this candidate.
func (f *faulty) spoiled(to string) (m medium) {
	f.t.Helper()
	between := f.name + "-" + f.relays[0].name // as route has it
	name := f.name + "-candidate"
	var out outlet
	switch to {
	case kafka:
		out, m = f.toTopic(name), f.kafkaMedium(between, name)
	case jetStream:
		out, m = f.toStream(name, smallest, nil), f.natsMedium(between, name)
	default:
		out, m = f.toQueue(name, stream), f.rabbitMedium(between, name)
	}
	f.evidence = filepath.Join(f.dir, "evidence")
	f.compared = append(f.compared, fmt.Sprintf("  - {name: faulty, relay: %s, candidate: %s, grace: %s, late: %s, stuck: %s, evidence: {dir: %q, most: 1000000, size: 4GiB, flight: 128MiB}}\n",
		f.relays[0].name, out.tap, grace, objective, stuckAfter, f.evidence))
	if f.windows {
		f.compared = append(f.compared, fmt.Sprintf("  - {name: by-windows, relay: %s, candidate: %s, windows: {every: %s, lateness: %s, behind: %s}}\n", f.relays[0].name, out.tap, windowEvery, windowLate, windowBehind))
	}
	return m
}

// grace is what the comparison of the story has, at least.
const grace = 2 * time.Second

// look notes how long the comparison waits for what was passed by.
func (f *faulty) look() {
	if st, err := f.bridge.status(); err == nil && len(st.Comparisons) > 0 {
		f.grace = max(f.grace, grace, time.Duration(2*st.Comparisons[0].LagMost*float64(time.Second)))
	}
}

// A bundle is what the story reads of one.
type bundle struct {
	Kind                 string    `json:"kind"`
	At                   time.Time `json:"at"`
	Incumbent, Candidate struct {
		Message *frame `json:"message"`
	}
	History []frame `json:"history"`
	Rules   struct {
		Grace string `json:"grace"`
	} `json:"rules"`
	path string
	told time.Time // in the log
}

type frame struct {
	Side    string    `json:"side"`
	Read    time.Time `json:"read"`
	Message struct {
		Headers []struct {
			Name  []byte `json:"n"`
			Value []byte `json:"v"`
		} `json:"headers"`
	} `json:"message"`
}

// number is the ledger's; 0 where the message does not say it.
func (m *frame) number() int {
	if m != nil {
		for _, h := range m.Message.Headers {
			if string(h.Name) == ledger.NumberHeader {
				n, _ := strconv.Atoi(string(h.Value))
				return n
			}
		}
	}
	return 0
}

func (b *bundle) number() int {
	if n := b.Incumbent.Message.number(); n != 0 {
		return n
	}
	return b.Candidate.Message.number()
}

// bundles reads what was found, oldest first.
func (f *faulty) bundles() (all []*bundle) {
	f.t.Helper()
	entries, err := os.ReadDir(f.evidence)
	if err != nil {
		f.t.Fatal(err)
	}
	told := map[string]time.Time{}
	for _, d := range f.logged() {
		told[d.bundle] = d.at
	}
	for _, e := range entries {
		b := &bundle{path: filepath.Join(f.evidence, e.Name())}
		b.told = told[b.path]
		text, err := os.ReadFile(b.path)
		if err == nil {
			err = json.Unmarshal(text, b)
		}
		if err != nil {
			f.t.Fatalf("%s: %v", b.path, err)
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *bundle) int { return a.At.Compare(b.At) })
	return all
}

// judge wants what was planted to be found, in time and nothing else, and to replay.
func (f *faulty) judge(c *comparisonStatus) {
	f.t.Helper()
	planted, found := map[string][]int{}, map[string][]int{}
	for _, n := range slices.Sorted(maps.Keys(f.wrong)) {
		for _, kind := range f.wrong[n].found {
			planted[kind] = append(planted[kind], n)
		}
	}
	took := map[string]time.Duration{}
	all := f.bundles()
	for _, b := range all {
		found[b.Kind] = append(found[b.Kind], b.number())
		after, bound := f.took(b)
		if took[b.Kind] = max(took[b.Kind], after); bound > 0 && after > bound {
			f.t.Errorf("%s of message %d is found after %s, and has to be within %s: %s", b.Kind, b.number(), after, bound, b.path)
		}
		if out, code := command(f.t, f.binary, nil, "replay", b.path); code != 0 {
			f.t.Errorf("replay of %s: exit code %d\n%s", b.path, code, out)
		}
	}
	for kind, n := range c.Drift {
		slices.Sort(found[kind])
		if int(n) != len(planted[kind]) || !slices.Equal(planted[kind], found[kind]) {
			f.t.Errorf("%s: planted %d, counted %d, with a bundle %d\n  not found: %s\n  not planted: %s", kind, len(planted[kind]), n, len(found[kind]),
				f.others(planted[kind], found[kind]), f.others(found[kind], planted[kind]))
		}
		if len(planted[kind]) > 0 {
			f.notes = append(f.notes, fmt.Sprintf("%-12s planted %d, found %d, told at most %s after it could be known", kind, len(planted[kind]), n, took[kind].Round(time.Millisecond)))
		}
	}
	slices.Sort(f.notes)
	if n := c.Incumbent.Incomparable + c.Candidate.Incomparable + c.Incumbent.Before + c.Candidate.Before + c.Incumbent.Repeats + c.Candidate.Repeats; n > 0 {
		f.t.Errorf("%+v", *c)
	}
	for _, one := range faultTable {
		f.note(one.name)
		f.count[one.name] = sized(one.share, 10*one.share)
	}
	f.notes = append(f.notes, fmt.Sprintf("%d bundles replayed; %d messages matched; grace up to %s", len(all), c.Matched, f.grace.Round(time.Millisecond)))
}

// others are those of a that are not in b, with what was planted there.
func (f *faulty) others(a, b []int) string {
	var all []string
	for _, n := range a {
		if !slices.Contains(b, n) {
			all = append(all, fmt.Sprintf("%d (%s)", n, f.wrong[n].name))
		}
	}
	return strings.Join(all[:min(10, len(all))], ", ")
}

// prompt is how soon a difference that can be known is told: alone on the machine within a
// second, and beside other stories within three.
var prompt = time.Duration(sized(3, 1)) * time.Second

// took is how long after it could be known a difference was found and told, and how long
// that may be; 0 is as long as it likes.
func (f *faulty) took(b *bundle) (after, bound time.Duration) {
	f.t.Helper()
	if b.told.IsZero() {
		f.t.Errorf("%s is not in the log", b.path)
	}
	var read time.Time // by both
	for _, m := range []*frame{b.Incumbent.Message, b.Candidate.Message} {
		if m != nil && m.Read.After(read) {
			read = m.Read
		}
	}
	switch b.Kind {
	case "corrupted", "header_lossy":
		bound = prompt
	case "reordered":
		read, bound = b.Candidate.Message.Read, prompt
	case "missing":
		read = time.Time{}
		for i := range b.History {
			if m := &b.History[i]; m.Side == "candidate" && m.number() > b.number() && (read.IsZero() || m.Read.Before(read)) {
				read = m.Read // it was passed by
			}
		}
		g, err := time.ParseDuration(b.Rules.Grace)
		if err != nil || read.IsZero() {
			f.t.Errorf("%s: grace %q, %v; passed by at %s", b.path, b.Rules.Grace, err, read)
			return 0, 0
		}
		bound = max(g, f.grace) + prompt
	}
	return max(b.At.Sub(read), b.told.Sub(read)), bound
}
