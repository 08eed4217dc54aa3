package compare

import (
	"fmt"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

func frame(side drift.Side, n int, key string, body int) Frame {
	at := time.Unix(int64(n), 0)
	m := bridge.Message{Key: key, ID: bridge.ID{Value: fmt.Sprint(n)}, Body: make([]byte, body)}
	d := Digester{}
	return Frame{Side: side, Seen: d.Of(&m, at), Message: m, Read: at}
}

// A recorder holds the newest, within its octets, of each side by itself.
func TestRecorderIsBounded(t *testing.T) {
	r := NewRecorder(1 << 20)
	for n := range 20_000 {
		r.Keep(frame(drift.Incumbent, n, fmt.Sprint("k", n%10), 100+n%500))
		if n%100 == 0 {
			r.Keep(frame(drift.Candidate, n, "k0", 10))
		}
		if r.Octets() > 2<<20 {
			t.Fatalf("%d octets are held", r.Octets())
		}
	}
	if got := len(r.held(drift.Candidate)); got != 200 {
		t.Errorf("%d of the candidate's 200 are held", got)
	}
	newest := frame(drift.Incumbent, 19_999, "k9", 0)
	if f, ok := r.Latest(drift.Incumbent, newest.Seen.Key, newest.Seen.ID); !ok || f.Message.ID.Value != "19999" {
		t.Errorf("the newest is not held: %+v", f)
	}
	oldest := frame(drift.Incumbent, 0, "k0", 0)
	if _, ok := r.Latest(drift.Incumbent, oldest.Seen.Key, oldest.Seen.ID); ok {
		t.Error("the oldest is held still")
	}
	if n := cap(r.rings[0].frames); n > 20_000 {
		t.Errorf("there is room for %d frames", n)
	}
}

// A body that alone is more than there is room for is not held, and nothing else is lost
// for good.
func TestRecorderTakesNothingTooLarge(t *testing.T) {
	r := NewRecorder(10_000)
	r.Keep(frame(drift.Incumbent, 1, "k", 20_000))
	if r.Octets() != 0 || !r.Reach(drift.Incumbent).IsZero() {
		t.Errorf("%d octets are held", r.Octets())
	}
	r.Keep(frame(drift.Incumbent, 2, "k", 10))
	if got := r.History(r.held(drift.Incumbent)[0].Seen.Key, 0, 5); len(got) != 1 || got[0].Message.ID.Value != "2" {
		t.Errorf("history: %+v", got)
	}
}

// What was read at one time is in the order in which it came.
func TestHistoryOfOneBatch(t *testing.T) {
	r := NewRecorder(1 << 20)
	for n := range 5 {
		f := frame(drift.Incumbent, n, "k", 1)
		f.Read = time.Unix(1, 0)
		r.Keep(f)
	}
	ids := ""
	held := r.held(drift.Incumbent)
	for _, f := range r.History(held[0].Seen.Key, held[2].Seen.ID, 1) {
		ids += f.Message.ID.Value
	}
	if ids != "123" {
		t.Errorf("history: %s", ids)
	}
}

func TestHistoryIsInTheOrderOfReading(t *testing.T) {
	r := NewRecorder(1 << 20)
	for n := range 20 {
		r.Keep(frame(drift.Side(n%3/2), n, fmt.Sprint("k", n%2), 1))
	}
	subject := frame(drift.Incumbent, 12, "k0", 0).Seen
	for _, tc := range []struct {
		id   uint64
		n    int
		want string
	}{{subject.ID, 2, "6 8 10 12 14 16 18 "}, {1, 1, "14 18 "}} {
		ids := ""
		for _, f := range r.History(subject.Key, tc.id, tc.n) {
			ids += f.Message.ID.Value + " "
		}
		if ids != tc.want {
			t.Errorf("history of k0: %s, want %s", ids, tc.want)
		}
	}
}
