package compare

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/fields"
	"github.com/crossfade-mq/crossfade/dedupe"
)

// Control is the side of a second run of the incumbent's own consumer.
const Control drift.Side = 2

// streams is how many an output comparison has at most.
const streams = 3

// An Outcome is what became of a record.
type Outcome string

// The outcomes of records.
const (
	OutcomeMatch        Outcome = "match"
	OutcomeIgnored      Outcome = "ignored"      // only fields differ that a rule leaves out
	OutcomeNoise        Outcome = "noise"        // it differs as the incumbent's own consumer does from itself
	OutcomeMismatch     Outcome = "mismatch"     // a field differs
	OutcomeMissing      Outcome = "missing"      // the candidate's consumer has gone past it
	OutcomeExtra        Outcome = "extra"        // the incumbent's has
	OutcomeIncomparable Outcome = "incomparable" // it does not say what it belongs to, or too much had to be held
)

// whole is the path of what concerns a record and none of its fields.
const whole = "(record)"

// A joiner brings the records of two or three outputs together and judges them. It is pure:
// time is an argument. Not for concurrent use.
//
//	incumbent ─┐ by key and join      ┌─ differs from the incumbent's? ─┐
//	candidate ─┼─────► group ─────────┤                                 ├─► outcome, by field
//	control  ──┘                      └─ and the control's too? noise ──┘
type joiner struct {
	join    *Join
	rules   *fields.Rules
	sides   int // 2, or 3 with a control
	seed    maphash.Seed
	keys    map[uint64]*outputKey
	groups  map[uint64]*group
	judged  *dedupe.Window
	held    int // octets
	most    int
	pending [streams]uint64
	// controlled is how many records were compared with the control's.
	controlled uint64
	begin      time.Duration // what came before is not judged by what the other side has not

	tally  OutputCounts
	fields map[string]*FieldCount
	found  []OutputFinding
}

// An outputKey is what is known of a key: the groups that are not judged, in the order in
// which they came, and how far each side has gone.
type outputKey struct {
	id      uint64
	waiting []*group
	next    [streams]uint32          // the number of the next group of a side
	shown   [streams][streams]uint32 // [a][b]: the highest number on a of what b has shown too
	common  [streams]uint32          // the number, on each side, of the first that incumbent and candidate both had; 0 is none
}

// A group is what belongs together.
type group struct {
	key     *outputKey
	join    uint64
	records [streams][]Frame
	number  [streams]uint32 // from 1; 0 has none
	last    time.Duration   // when the last of them was read
	octets  int
}

// mostOutputFields is how many fields are told apart.
const mostOutputFields = 1000

func newJoiner(j *Join, rules *fields.Rules, sides, octets int) *joiner {
	return &joiner{
		join: j, rules: rules, sides: sides, most: octets, seed: maphash.MakeSeed(), keys: map[uint64]*outputKey{}, groups: map[uint64]*group{},
		judged: dedupe.NewWindow(1 << 17), fields: map[string]*FieldCount{}, tally: OutputCounts{Outcomes: map[Outcome]uint64{}},
	}
}

func (j *joiner) hash(s string) uint64 { return maphash.String(j.seed, s) }

// observe takes in a record of a side.
func (j *joiner) observe(side drift.Side, f Frame) {
	j.tally.Observed[side]++
	text, err := j.join.of(&f.Message)
	if err != nil {
		j.tally.Outcomes[OutcomeIncomparable]++
		return
	}
	join := j.hash(text)
	if j.join.By != JoinLast && j.judged.Has(print(join)) {
		j.tally.Repeats[side]++
		return
	}
	g := j.group(join, f.Message.Key)
	if j.join.By == JoinLast {
		j.drop(g, side)
	} else if j.join.By == JoinID && j.repeats(g, side, &f) {
		j.tally.Repeats[side]++
		return
	}
	n := size(&f.Message)
	g.octets += n
	j.held += n
	g.records[side] = append(g.records[side], f)
	g.last = max(g.last, f.Seen.At)
	j.pending[side]++
	j.show(g, side)
	if j.join.By == JoinID && j.even(g) {
		j.judge(g)
	}
	for j.held > j.most {
		j.overflow()
	}
}

// repeats says that a side has the very same record in the group already: consumers that
// deliver at least once repeat.
func (j *joiner) repeats(g *group, side drift.Side, f *Frame) bool {
	return slices.ContainsFunc(g.records[side], func(r Frame) bool { return r.Seen.Body == f.Seen.Body })
}

func (j *joiner) group(join uint64, key string) *group {
	g := j.groups[join]
	if g != nil {
		return g
	}
	id := j.hash(key)
	k := j.keys[id]
	if k == nil {
		k = &outputKey{id: id}
		j.keys[id] = k
	}
	g = &group{key: k, join: join}
	j.groups[join] = g
	k.waiting = append(k.waiting, g)
	return g
}

// show notes how far a side has gone.
func (j *joiner) show(g *group, side drift.Side) {
	k := g.key
	if g.number[side] == 0 {
		k.next[side]++
		g.number[side] = k.next[side]
	}
	if g.number[drift.Incumbent] > 0 && g.number[drift.Candidate] > 0 && k.common[drift.Incumbent] == 0 {
		k.common = g.number
	}
	for other := range j.sides {
		if n := g.number[other]; n > 0 && other != int(side) {
			k.shown[other][side] = max(k.shown[other][side], n)
			k.shown[side][other] = max(k.shown[side][other], g.number[side])
		}
	}
}

// even says that every side has as many records.
func (j *joiner) even(g *group) bool {
	for side := 1; side < j.sides; side++ {
		if len(g.records[side]) != len(g.records[0]) {
			return false
		}
	}
	return true
}

// advance judges what time and the readers' progress allow. passed is up to when, by their
// readers, everything will have come that ever comes; 0 is not known. read is up to when
// everything that the systems had stored was observed.
func (j *joiner) advance(now, grace, passed, read time.Duration) {
	for _, k := range j.keys {
		for _, g := range slices.Clone(k.waiting) {
			over := now-g.last >= grace
			if g.last < passed || over && j.passed(g) || over && j.join.By == JoinLast && read >= g.last+grace {
				j.judge(g)
			}
		}
	}
}

// passed says that every side has shown something of the key behind the group.
func (j *joiner) passed(g *group) bool {
	for side := range j.sides {
		beyond := false
		for other := range j.sides {
			beyond = beyond || g.number[other] > 0 && (other == side && g.key.next[side] > g.number[side] || other != side && g.key.shown[other][side] > g.number[other])
		}
		if !beyond {
			return false
		}
	}
	return true
}

// before says that a group that one side lacks is from before both readers were there: in
// front of the first of its key that both had, when they began.
func (j *joiner) before(g *group) bool {
	if g.last >= j.begin {
		return false
	}
	for side := range j.sides {
		if n := g.number[side]; n > 0 && n > g.key.common[side] && g.key.common[side] > 0 {
			return false
		}
	}
	return true
}

// drop forgets an earlier value of a side.
func (j *joiner) drop(g *group, side drift.Side) {
	for i := range g.records[side] {
		n := size(&g.records[side][i].Message)
		g.octets -= n
		j.held -= n
		j.pending[side]--
		j.tally.Superseded[side]++
	}
	g.records[side] = g.records[side][:0]
}

// close lets a group go.
func (j *joiner) close(g *group) {
	delete(j.groups, g.join)
	if j.join.By != JoinLast {
		j.judged.Add(print(g.join))
	}
	k := g.key
	k.waiting = slices.DeleteFunc(k.waiting, func(x *group) bool { return x == g })
	if len(k.waiting) == 0 && (k.common[0] > 0 || j.begin < g.last) { // nothing is told by what it was shown
		delete(j.keys, k.id)
	}
	for side := range g.records {
		j.pending[side] -= uint64(len(g.records[side]))
	}
	j.held -= g.octets
}

// overflow lets the oldest group go unjudged.
func (j *joiner) overflow() {
	var oldest *group
	for _, g := range j.groups {
		if oldest == nil || g.last < oldest.last {
			oldest = g
		}
	}
	if oldest == nil {
		j.held = 0
		return
	}
	for side := range oldest.records {
		j.tally.Outcomes[OutcomeIncomparable] += uint64(len(oldest.records[side]))
	}
	j.close(oldest)
}

// oldest is when the oldest record of a side that is not judged was read; 0 is none.
func (j *joiner) oldest(side drift.Side) (at time.Duration) {
	for _, g := range j.groups {
		if rs := g.records[side]; len(rs) > 0 && (at == 0 || rs[0].Seen.At < at) {
			at = rs[0].Seen.At
		}
	}
	return at
}

func print(join uint64) (fp dedupe.Fingerprint) {
	for i := range 8 {
		fp[i] = byte(join >> (8 * i))
	}
	return fp
}
