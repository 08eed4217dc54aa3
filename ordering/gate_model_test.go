package ordering_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/ordering"
)

// naiveGate is what a Gate promises, said as simply as possible.
type naiveGate struct {
	inFlight map[uint64]bool
	waiting  []naiveWaiter // in the order of Enter
}

type naiveWaiter struct {
	key   uint64
	value int
}

func (n *naiveGate) enter(key uint64, v int) bool {
	if n.inFlight[key] {
		n.waiting = append(n.waiting, naiveWaiter{key, v})
		return false
	}
	n.inFlight[key] = true
	return true
}

func (n *naiveGate) leave(key uint64) (int, bool) {
	for i, w := range n.waiting {
		if w.key == key {
			n.waiting = slices.Delete(n.waiting, i, i+1)
			return w.value, true
		}
	}
	delete(n.inFlight, key)
	return 0, false
}

func (n *naiveGate) reset() { n.inFlight, n.waiting = map[uint64]bool{}, nil }

// gates does everything to a Gate and to its model, and compares.
type gates struct {
	t     rapid.TB
	real  *ordering.Gate[int]
	model naiveGate
	value int
}

func newGates(t rapid.TB) *gates {
	return &gates{t: t, real: ordering.NewGate[int](), model: naiveGate{inFlight: map[uint64]bool{}}}
}

func (p *gates) enter(key uint64) {
	p.value++
	if got, want := p.real.Enter(key, p.value), p.model.enter(key, p.value); got != want {
		p.t.Fatalf("Enter(%#x, %d) = %v, want %v", key, p.value, got, want)
	}
}

func (p *gates) leave(key uint64) {
	got, gotOK := p.real.Leave(key)
	want, wantOK := p.model.leave(key)
	if got != want || gotOK != wantOK {
		p.t.Fatalf("Leave(%#x) = %d, %v, want %d, %v", key, got, gotOK, want, wantOK)
	}
}

func (p *gates) drain() {
	var got []int
	p.real.Drain(func(v int) { got = append(got, v) })
	if len(got) != len(p.model.waiting) {
		p.t.Fatalf("Drain gave %d values, want %d", len(got), len(p.model.waiting))
	}
	for i, w := range p.model.waiting {
		if got[i] != w.value {
			p.t.Fatalf("Drain gave %v, want %v", got, p.model.waiting)
		}
	}
	p.model.reset()
}

func (p *gates) reset() {
	p.real.Reset()
	p.model.reset()
}

func (p *gates) compare() {
	if got, want := p.real.Len(), len(p.model.waiting); got != want {
		p.t.Fatalf("Len = %d, want %d", got, want)
	}
}

func TestGateAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newGates(t)
		keys := gateKeys(rapid.IntRange(1, 200).Draw(t, "keys"))
		some := rapid.SliceOfN(rapid.SampledFrom(keys), 1, 60)
		t.Repeat(map[string]func(*rapid.T){
			"enter": func(t *rapid.T) {
				for _, key := range some.Draw(t, "entering") {
					p.enter(key)
				}
			},
			"leave": func(t *rapid.T) {
				for _, key := range some.Draw(t, "leaving") {
					p.leave(key)
				}
			},
			"empty": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "dice") == 0 {
					if rapid.Bool().Draw(t, "drain") {
						p.drain()
					} else {
						p.reset()
					}
				}
			},
			"": func(*rapid.T) { p.compare() },
		})
	})
}

// One of a key in flight, in order, none lost and none twice: a Gate and a
// Tracker together, as a relay uses them, with settlements in any order.
func TestGateAndTrackerTogether(t *testing.T) {
	type message struct {
		key, n int
		ticket uint64
	}
	rapid.Check(t, func(t *rapid.T) {
		script := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 300).Draw(t, "keys")
		gate, tracker := ordering.NewGate[message](), ordering.NewTracker[message](0)
		var flying, acked []message
		sent := map[int]int{} // the next number of a key
		send := func(m message) {
			if slices.ContainsFunc(flying, func(f message) bool { return f.key == m.key }) {
				t.Fatalf("two of key %d are in flight", m.key)
			}
			if m.n != sent[m.key] {
				t.Fatalf("key %d: message %d was sent, want %d", m.key, m.n, sent[m.key])
			}
			sent[m.key]++
			flying = append(flying, m)
		}
		settle := func() {
			i := rapid.IntRange(0, len(flying)-1).Draw(t, "settled")
			m := flying[i]
			flying = slices.Delete(flying, i, i+1)
			tracker.Done(m.ticket)
			acked = tracker.Take(acked)
			if next, ok := gate.Leave(uint64(m.key)); ok {
				send(next)
			}
		}
		count := map[int]int{}
		for _, key := range script {
			m := message{key: key, n: count[key]}
			count[key]++
			m.ticket = tracker.Start(m)
			if gate.Enter(uint64(key), m) {
				send(m)
			}
			if len(flying) > 3 {
				settle()
			}
		}
		for len(flying) > 0 {
			settle()
		}
		if len(acked) != len(script) || gate.Len() != 0 || tracker.Len() != 0 {
			t.Fatalf("%d of %d acknowledged, %d wait, %d are tracked", len(acked), len(script), gate.Len(), tracker.Len())
		}
		for i, m := range acked {
			if m.key != script[i] {
				t.Fatalf("acknowledgement %d is of key %d, want %d", i, m.key, script[i])
			}
		}
	})
}

// FuzzGate reads each octet as an operation: two bits say which, six bits choose
// the key.
func FuzzGate(f *testing.F) {
	f.Add([]byte{0x00, 0x00, 0x01, 0x40, 0x40, 0x41})
	f.Add([]byte{0x01, 0x81, 0x02, 0x82, 0x03, 0x41, 0x42, 0x43, 0xc0, 0x01})
	keys := gateKeys(64)
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := newGates(t)
		for _, op := range ops[:min(len(ops), 1000)] {
			key := keys[op&63]
			switch op >> 6 {
			case 0, 2:
				p.enter(key)
			case 1:
				p.leave(key)
			case 3:
				switch op & 7 {
				case 0:
					p.drain()
				case 1:
					p.reset()
				default: // a run of neighbours in the table
					for i := range uint64(20) {
						p.enter(key + i)
					}
				}
			}
			p.compare()
		}
	})
}
