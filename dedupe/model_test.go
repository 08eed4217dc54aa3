package dedupe_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// windows does everything to a Window and to a plain list, and compares.
type windows struct {
	t        rapid.TB
	real     *dedupe.Window
	capacity int
	model    []int // oldest first
	fp       func(int) dedupe.Fingerprint
}

func newWindows(t rapid.TB, capacity int, fp func(int) dedupe.Fingerprint) *windows {
	return &windows{t: t, real: dedupe.NewWindow(capacity), capacity: capacity, fp: fp}
}

func (p *windows) add(n int) {
	fresh := !slices.Contains(p.model, n)
	if fresh {
		p.model = append(p.model, n)
		p.model = p.model[max(0, len(p.model)-p.capacity):]
	}
	if got := p.real.Add(p.fp(n)); got != fresh {
		p.t.Fatalf("Add(%d) = %v, want %v", n, got, fresh)
	}
}

func (p *windows) has(n int) {
	if got, want := p.real.Has(p.fp(n)), slices.Contains(p.model, n); got != want {
		p.t.Fatalf("Has(%d) = %v, want %v", n, got, want)
	}
}

func (p *windows) compare() {
	if p.real.Len() != len(p.model) || p.real.Cap() != p.capacity {
		p.t.Fatalf("Len, Cap = %d, %d, want %d, %d", p.real.Len(), p.real.Cap(), len(p.model), p.capacity)
	}
}

func TestWindowAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fp := number
		if rapid.Bool().Draw(t, "raw") {
			fp = raw
		}
		capacity := rapid.IntRange(0, 100).Draw(t, "capacity")
		p := newWindows(t, capacity, fp)
		some := rapid.SliceOfN(rapid.IntRange(0, 2*capacity+2), 1, 40)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for _, n := range some.Draw(t, "added") {
					p.add(n)
				}
			},
			"has": func(t *rapid.T) {
				for _, n := range some.Draw(t, "asked") {
					p.has(n)
				}
			},
			"": func(*rapid.T) { p.compare() },
		})
	})
}

// sets does everything to a Set and to a plain map, and compares.
type sets struct {
	t     rapid.TB
	real  *dedupe.Set
	model map[int]int
	fp    func(int) dedupe.Fingerprint
}

func newSets(t rapid.TB, hint int, fp func(int) dedupe.Fingerprint) *sets {
	return &sets{t: t, real: dedupe.NewSet(hint), model: map[int]int{}, fp: fp}
}

func (p *sets) add(n int) {
	p.real.Add(p.fp(n))
	p.model[n]++
}

func (p *sets) enter(n int) {
	fresh := p.model[n] == 0
	if fresh {
		p.model[n] = 1
	}
	if got := p.real.Enter(p.fp(n)); got != fresh {
		p.t.Fatalf("Enter(%d) = %v", n, got)
	}
}

func (p *sets) remove(n int) {
	p.real.Remove(p.fp(n))
	if p.model[n]--; p.model[n] <= 0 {
		delete(p.model, n)
	}
}

func (p *sets) has(n int) {
	if got, want := p.real.Has(p.fp(n)), p.model[n] > 0; got != want {
		p.t.Fatalf("Has(%d) = %v, want %v", n, got, want)
	}
}

func (p *sets) reset() {
	p.real.Reset()
	clear(p.model)
}

func (p *sets) compare() {
	if p.real.Len() != len(p.model) {
		p.t.Fatalf("Len = %d, want %d", p.real.Len(), len(p.model))
	}
}

func TestSetAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fp := number
		if rapid.Bool().Draw(t, "raw") {
			fp = raw
		}
		p := newSets(t, rapid.IntRange(-1, 100).Draw(t, "hint"), fp)
		some := rapid.SliceOfN(rapid.IntRange(0, rapid.IntRange(1, 120).Draw(t, "identities")), 1, 40)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for _, n := range some.Draw(t, "added") {
					p.add(n)
				}
			},
			"enter": func(t *rapid.T) {
				for _, n := range some.Draw(t, "entered") {
					p.enter(n)
				}
			},
			"remove": func(t *rapid.T) {
				for _, n := range some.Draw(t, "removed") {
					p.remove(n)
				}
			},
			"has": func(t *rapid.T) {
				for _, n := range some.Draw(t, "asked") {
					p.has(n)
				}
			},
			"reset": func(t *rapid.T) {
				if rapid.IntRange(0, 5).Draw(t, "dice") == 0 {
					p.reset()
				}
			},
			"": func(*rapid.T) { p.compare() },
		})
	})
}

// FuzzWindow adds or asks for each octet's number, by its highest bit.
func FuzzWindow(f *testing.F) {
	f.Add(byte(2), []byte{0, 1, 2, 0x80, 0x81, 0x82, 1, 0})
	f.Add(byte(48), []byte("a longer text has more letters in it than a window of 48 can hold"))
	f.Fuzz(func(t *testing.T, capacity byte, ops []byte) {
		p := newWindows(t, int(capacity), raw)
		for _, op := range ops[:min(len(ops), 1000)] {
			if op < 0x80 {
				p.add(int(op))
			} else {
				p.has(int(op & 0x7f))
			}
			p.compare()
		}
	})
}

// FuzzSet reads each octet as an operation: two bits say which, six bits are the
// number.
func FuzzSet(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0x40, 0x80, 0x81, 0x41})
	f.Add([]byte("the quick brown fox jumps over the lazy dog, and 0123456789"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		p := newSets(t, 0, raw)
		for _, op := range ops[:min(len(ops), 1000)] {
			n := int(op & 63)
			switch {
			case op == 0xff:
				p.reset()
			case op>>6 == 0:
				p.add(n)
			case op>>6 == 1:
				p.remove(n)
			default:
				p.has(n)
			}
			p.compare()
		}
	})
}
