package ledger

import (
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// A broker that the tests share ends with the process, and who waits for it too.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/crossfade-mq/crossfade/e2e/brokers.(*Server).Start.func1"))
}

var loads = []Load{
	{Seed: 1, Messages: 20_000, Keys: Zipf10k, Carries: CarriesAll, Space: "telemetry"},
	{Seed: 2, Messages: 20_000, Keys: Keys100, Carries: CarriesStream, Space: "telemetry"},
	{Seed: 3, Messages: 20_000, Keys: Uniform10k, Carries: CarriesText, Prefix: "in."},
	{Seed: 4, Messages: 20_000, Keys: Zipf10k, Carries: CarriesOctets, Topic: "in", Partitions: 3},
}

func TestPlanHasWhatMakesFaultsVisible(t *testing.T) {
	for _, l := range loads {
		p := NewPlan(l)
		type identity struct{ key, id string }
		ids, keysOfID, bodies := map[identity]bool{}, map[string]map[string]bool{}, map[string]int{}
		counts, seqs := map[string]int{}, map[uint32]uint32{}
		spaced, bodiless := 0, map[bool]int{} // by whether it is null
		for n := 1; n <= l.Messages; n++ {
			m := p.Message(n)
			if len(m.Body) == 0 {
				bodiless[m.Body == nil]++
			} else if len(m.Body) != bodySize {
				t.Fatalf("%s: body of %d has %d octets: %s", l.Keys, n, len(m.Body), m.Body)
			}
			if ids[identity{m.Key, m.ID}] {
				t.Fatalf("%s: key %s has ID %q twice", l.Keys, m.Key, m.ID)
			}
			ids[identity{m.Key, m.ID}] = true
			if keysOfID[m.ID] == nil {
				keysOfID[m.ID] = map[string]bool{}
			}
			keysOfID[m.ID][m.Key] = true
			bodies[string(m.Body)]++
			counts[m.Key]++
			e := p.of[n]
			if seqs[e.key]++; seqs[e.key] != e.seq {
				t.Fatalf("%s: %d is number %d of its key, and says %d", l.Keys, n, seqs[e.key], e.seq)
			}
			if e.spaced {
				spaced++
			}
		}
		shared, repeated, hottest := 0, 0, 0
		for _, keys := range keysOfID {
			if len(keys) > 1 {
				shared++
			}
		}
		for _, c := range bodies {
			if c > 1 {
				repeated++
			}
		}
		for _, c := range counts {
			hottest = max(hottest, c)
		}
		if shared < 50 || repeated < 20 || spaced < 20 {
			t.Errorf("%s: %d IDs on two keys, %d repeated bodies, %d IDs with a twin; want some of each", l.Keys, shared, repeated, spaced)
		}
		few := 0
		if l.Carries == CarriesOctets {
			few = l.Messages / bodilessEvery / 2
		}
		if bodiless[true] < few || bodiless[false] < few || few == 0 && len(bodiless) > 0 {
			t.Errorf("%s: %d null and %d empty bodies, want at least %d of each", l.Keys, bodiless[true], bodiless[false], few)
		}
		share := float64(hottest) / float64(l.Messages)
		if want := map[Keys][2]float64{Zipf10k: {0.09, 0.115}, Keys100: {0.01, 0.014}, Uniform10k: {0, 0.001}}[l.Keys]; share < want[0] || share > want[1] {
			t.Errorf("%s: the hottest key has %.3f of the messages, want %v", l.Keys, share, want)
		}
	}
}

func TestPlanFollowsFromItsSeed(t *testing.T) {
	a, b := NewPlan(loads[0]), NewPlan(loads[0])
	other := loads[0]
	other.Seed++
	c := NewPlan(other)
	same := 0
	for n := 1; n <= 1000; n++ {
		x, y, z := a.Message(n), b.Message(n), c.Message(n)
		if d := difference(&x, &y); d != "" {
			t.Fatalf("%d: %s", n, d)
		}
		if difference(&x, &z) == "" {
			same++
		}
	}
	if same > 0 {
		t.Errorf("another seed plans %d of 1,000 messages alike", same)
	}
}

// delivered is a book whose plan was confirmed in full, and the candidate's
// messages in order.
func delivered(l Load) (*Book, []Message) {
	b := NewBook(NewPlan(l))
	var ms []Message
	for n := 1; n <= l.Messages; n++ {
		b.Sent(n)
		b.Confirmed(n)
		ms = append(ms, b.Plan.Message(n))
	}
	return b, ms
}

func reportOf(b *Book, ms []Message) Report {
	for i := range ms {
		b.Observe(&ms[i])
	}
	return b.Report()
}

func TestBookFindsPlantedFaults(t *testing.T) {
	// sameKey finds two messages of a key at i < j, behind the middle.
	sameKey := func(ms []Message) (i, j int) {
		for i = len(ms) / 2; ; i++ {
			if j = i + 1 + slices.IndexFunc(ms[i+1:], func(m Message) bool { return m.Key == ms[i].Key }); j > i {
				return i, j
			}
		}
	}
	type want struct{ lost, duplicated, reordered, altered, unexpected int }
	tests := map[string]struct {
		plant func(b *Book, ms []Message) []Message
		want  want
	}{
		"nothing":    {func(_ *Book, ms []Message) []Message { return ms }, want{}},
		"one lost":   {func(_ *Book, ms []Message) []Message { return slices.Delete(ms, 700, 701) }, want{lost: 1}},
		"first lost": {func(_ *Book, ms []Message) []Message { return ms[1:] }, want{lost: 1}},
		"last lost":  {func(_ *Book, ms []Message) []Message { return ms[:len(ms)-1] }, want{lost: 1}},
		"twice": {func(_ *Book, ms []Message) []Message {
			i, _ := sameKey(ms)
			return slices.Insert(ms, i+1, ms[i])
		}, want{duplicated: 1}},
		"twice, late": {func(_ *Book, ms []Message) []Message {
			i, j := sameKey(ms)
			return slices.Insert(ms, j+1, ms[i])
		}, want{duplicated: 1}},
		"two of a key exchanged": {func(_ *Book, ms []Message) []Message {
			i, j := sameKey(ms)
			ms[i], ms[j] = ms[j], ms[i]
			return ms
		}, want{reordered: 1}},
		"two of different keys exchanged": {func(_ *Book, ms []Message) []Message {
			i := slices.IndexFunc(ms, func(m Message) bool { return m.N < len(ms) && m.Key != ms[m.N].Key })
			ms[i], ms[i+1] = ms[i+1], ms[i]
			return ms
		}, want{}},
		"one octet of the body": {func(_ *Book, ms []Message) []Message {
			ms[9].Body[100] ^= 1
			return ms
		}, want{altered: 1}},
		"body of another": {func(_ *Book, ms []Message) []Message {
			ms[9].Body = ms[10].Body
			return ms
		}, want{altered: 1}},
		"a space behind the ID": {func(_ *Book, ms []Message) []Message {
			ms[9].ID += " "
			return ms
		}, want{altered: 1}},
		"another key": {func(_ *Book, ms []Message) []Message {
			ms[9].Key += "x"
			return ms
		}, want{altered: 1}},
		"another address": {func(_ *Book, ms []Message) []Message {
			ms[9].Name += "x"
			return ms
		}, want{altered: 1}},
		"another exchange": {func(_ *Book, ms []Message) []Message {
			ms[9].Space += "x"
			return ms
		}, want{altered: 1}},
		"a header less": {func(_ *Book, ms []Message) []Message {
			ms[15].Headers = slices.Delete(ms[15].Headers, 0, 1)
			return ms
		}, want{altered: 1}},
		"a header of another type": {func(_ *Book, ms []Message) []Message {
			ms[15].Headers[0].Value = "x" + ms[15].Headers[0].Value[1:]
			return ms
		}, want{altered: 1}},
		"a property more": {func(_ *Book, ms []Message) []Message {
			ms[15].Properties = append(ms[15].Properties, Field{"x", "S:"})
			return ms
		}, want{altered: 1}},
		"found elsewhere": {func(b *Book, ms []Message) []Message {
			b.Subject = func(name string) string { return "t." + name }
			for i := range ms {
				ms[i].Subject = "t." + ms[i].Name
			}
			ms[9].Subject = "u." + ms[9].Name
			return ms
		}, want{altered: 1}},
		"a stranger": {func(_ *Book, ms []Message) []Message {
			return append(ms, Message{Key: "who", Body: []byte("what")})
		}, want{unexpected: 1}},
		"a number that was never sent": {func(b *Book, ms []Message) []Message {
			b.source.states[7] = unsent
			return ms
		}, want{unexpected: 1}},
		"returned and there": {func(b *Book, ms []Message) []Message {
			b.Returned(7)
			b.source.confirmed--
			return ms
		}, want{unexpected: 1}},
		"returned and not there": {func(b *Book, ms []Message) []Message {
			b.Returned(7)
			b.source.confirmed--
			return slices.Delete(ms, 6, 7)
		}, want{}},
		"set aside": {func(b *Book, ms []Message) []Message {
			b.Aside = func(m *Message) bool { return m.Key == "known" }
			return append(ms, Message{Key: "known"}, Message{Key: "unknown"})
		}, want{unexpected: 1}},
		"unknown and not there": {func(b *Book, ms []Message) []Message {
			b.source.states[701], b.source.confirmed = sent, b.source.confirmed-1
			return slices.Delete(ms, 700, 701)
		}, want{}},
		"unknown and there": {func(b *Book, ms []Message) []Message {
			b.source.states[701], b.source.confirmed = sent, b.source.confirmed-1
			return ms
		}, want{}},
		"unknown and twice": {func(b *Book, ms []Message) []Message {
			b.source.states[701], b.source.confirmed = sent, b.source.confirmed-1
			return append(ms, ms[700])
		}, want{duplicated: 1}},
		"given up, and not there": {func(b *Book, ms []Message) []Message {
			b.GivenUp(701)
			return slices.Delete(ms, 700, 701)
		}, want{}},
		"given up, and there": {func(b *Book, ms []Message) []Message {
			b.GivenUp(701)
			return ms
		}, want{unexpected: 1}},
		"all of it twice": {func(_ *Book, ms []Message) []Message { return append(ms, ms...) }, want{duplicated: 2000}},
		"backwards": {func(_ *Book, ms []Message) []Message {
			slices.Reverse(ms)
			return ms
		}, want{reordered: -1}},
	}
	for name, test := range tests {
		for _, l := range loads[:2] {
			l.Messages = 2000
			b, ms := delivered(l)
			for i := range ms {
				ms[i].Mapped = true
			}
			r := reportOf(b, test.plant(b, ms))
			got := want{r.Lost.Count, r.Duplicated.Count, r.Reordered.Count, r.Altered.Count, r.Unexpected.Count}
			if test.want.reordered < 0 && got.reordered > 100 {
				got.reordered = -1
			}
			if got != test.want {
				t.Errorf("%s, %s: want %+v, got %s", name, l.Keys, test.want, r.String())
			}
			if r.Clean() != (test.want == want{}) {
				t.Errorf("%s: clean is %t", name, r.Clean())
			}
		}
	}
}

// TestReorderedCountsWhatANaiveModelCounts compares with the definition: a first
// occurrence is out of order if a later one of its key stands before it.
func TestReorderedCountsWhatANaiveModelCounts(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		b, ms := delivered(Load{Seed: seed, Messages: 500, Keys: Keys100, Carries: CarriesText})
		for range rng.IntN(40) {
			i, j := rng.IntN(len(ms)), rng.IntN(len(ms))
			ms[i], ms[j] = ms[j], ms[i]
		}
		for range rng.IntN(20) {
			ms = slices.Insert(ms, rng.IntN(len(ms)), ms[rng.IntN(len(ms))])
		}
		want, seen := 0, map[int]bool{}
		for i, m := range ms {
			if !seen[m.N] && slices.ContainsFunc(ms[:i], func(o Message) bool { return o.Key == m.Key && o.N > m.N }) {
				want++
			}
			seen[m.N] = true
		}
		if r := reportOf(b, ms); r.Reordered.Count != want {
			t.Errorf("seed %d: %d reordered, a naive count gives %d", seed, r.Reordered.Count, want)
		}
	}
}

// Poison is one message in so many, up to a number, and changes nothing else of
// the plan but that nobody repeats its body.
func TestPoisonIsLargeAndRare(t *testing.T) {
	for _, l := range loads {
		plain := NewPlan(l)
		l.Poison, l.PoisonUpTo = 100, l.Messages/2
		p := NewPlan(l)
		bodies, count := map[string]int{}, 0
		for n := 1; n <= l.Messages; n++ {
			body := p.Body(n)
			if p.Name(n) != plain.Name(n) || p.ID(n) != plain.ID(n) {
				t.Fatalf("%s: %d is another message with poison in the plan", l.Keys, n)
			}
			if large := len(body) == PoisonSize; large != p.Poisoned(n) || large && n > l.PoisonUpTo || !large && l.Carries != CarriesOctets && len(body) != bodySize {
				t.Fatalf("%s: %d has %d octets, poison %t", l.Keys, n, len(body), p.Poisoned(n))
			}
			if p.Poisoned(n) {
				count++
				bodies[string(body)]++
			}
		}
		if count < 60 || count > 140 || len(bodies) != count {
			t.Errorf("%s: %d poisoned, %d bodies", l.Keys, count, len(bodies))
		}
	}
}

// A producer that was stopped goes on behind what was sent.
func TestBookGoesOn(t *testing.T) {
	b := NewBook(NewPlan(Load{Seed: 1, Messages: 10, Keys: Keys100}))
	for n := b.next(); b.more(n); n++ {
		if b.Sent(n); n == 4 {
			b.Enough()
		}
	}
	if next := b.next(); next != 5 || b.more(next) {
		t.Fatalf("stopped: next is %d, more %t", next, b.more(next))
	}
	if b.GoOn(); !b.more(b.next()) || b.next() != 5 {
		t.Fatalf("going on: next is %d", b.next())
	}
}
