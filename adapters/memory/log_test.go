package memory

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The set agrees with a map whatever is added, taken out and asked.
func TestSetAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Uint64Range(1, 200).Draw(t, "first")
		s, naive := newSet(first), map[uint64]bool{}
		for p := range first {
			naive[p] = true
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			p := rapid.Uint64Range(0, 400).Draw(t, "position")
			if rapid.IntRange(0, 9).Draw(t, "what") == 0 {
				s.remove(p)
				delete(naive, p)
				continue
			}
			if fresh := s.add(p); fresh == naive[p] {
				t.Fatalf("add(%d) = %v, although it was there: %v", p, fresh, naive[p])
			}
			naive[p] = true
		}
		at := rapid.Uint64Range(0, 450).Draw(t, "from")
		next, count := at, 0
		for naive[next] {
			next++
		}
		for p := uint64(0); p < 450; p++ {
			if s.has(p) != naive[p] {
				t.Fatalf("has(%d) = %v", p, s.has(p))
			}
		}
		for p := range naive {
			if p >= next && naive[p] {
				count++
			}
		}
		if got := s.next(at); got != next {
			t.Fatalf("next(%d) = %d, want %d", at, got, next)
		}
		if got := s.from(next); next >= s.base && got != count {
			t.Fatalf("from(%d) = %d, want %d", next, got, count)
		}
	})
}

// The log keeps every message that was not dropped, whatever becomes of what it
// was given.
func TestLogKeepsItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLog()
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			for range rapid.IntRange(0, 200).Draw(t, "adds") {
				n := l.last + 1
				m := bridge.Message{
					Key: fmt.Sprint(n), Body: bytes.Repeat([]byte{byte(n)}, int(n%300)),
					Headers:    []bridge.Header{{Name: "n", Value: fmt.Append(nil, n)}},
					Properties: []bridge.Property{{Kind: bridge.KindPriority, Num: int64(n)}},
				}
				l.add(&m)
				clear(m.Body)
				clear(m.Headers[0].Value)
				m.Headers[0], m.Properties[0] = bridge.Header{}, bridge.Property{}
			}
			l.dropBelow(rapid.Uint64Range(0, l.last+1).Draw(t, "drop"))
			for p := l.first; p <= l.last; p++ {
				e := l.at(p)
				if e.Key != fmt.Sprint(p) || len(e.Body) != int(p%300) || bytes.Count(e.Body, []byte{byte(p)}) != len(e.Body) ||
					string(e.Headers[0].Value) != e.Key || e.Properties[0].Num != int64(p) {
					t.Fatalf("position %d holds %+v", p, e)
				}
			}
		}
	})
}
