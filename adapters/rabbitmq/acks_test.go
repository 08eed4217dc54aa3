package rabbitmq

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A brokerModel is what RabbitMQ does with acknowledgements: "multiple" takes
// everything un-acknowledged up to a tag, and looks for that tag until it finds
// it, however far that is.
type brokerModel struct{ unacked []uint64 }

func (b *brokerModel) ack(tag uint64, multiple bool) bool {
	at := slices.Index(b.unacked, tag)
	if at < 0 {
		return false
	}
	if multiple {
		b.unacked = b.unacked[at+1:]
	} else {
		b.unacked = slices.Delete(b.unacked, at, at+1)
	}
	return true
}

func TestAcksReachTheBrokerExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 100
		a := newAckRuns()
		b := &brokerModel{}
		newest := uint64(0)
		wanted := map[uint64]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "rounds") {
			for range rapid.IntRange(0, most-len(b.unacked)).Draw(t, "delivered") {
				newest++
				b.unacked = append(b.unacked, newest)
			}
			for range rapid.IntRange(0, 20).Draw(t, "acks") {
				tag := uint64(rapid.IntRange(0, int(newest)+3).Draw(t, "tag"))
				if len(b.unacked) > 0 && rapid.Bool().Draw(t, "oldest") {
					tag = b.unacked[0]
				}
				a.add(tag)
				if tag > 0 && tag <= newest {
					wanted[tag] = true
				}
			}
			a.flush(newest, func(tag uint64, multiple bool) {
				if !b.ack(tag, multiple) {
					t.Fatalf("the broker does not know tag %d (multiple %v)", tag, multiple)
				}
			})
			for tag := uint64(1); tag <= newest; tag++ {
				if wanted[tag] == slices.Contains(b.unacked, tag) {
					t.Fatalf("tag %d: acknowledged %v, and at the broker un-acknowledged %v", tag, wanted[tag], b.unacked)
				}
			}
			if a.sent != uint64(len(wanted)) {
				t.Fatalf("counted %d, want %d", a.sent, len(wanted))
			}
		}
	})
}

func TestARunIsOneMethod(t *testing.T) {
	a := newAckRuns()
	for _, tag := range []uint64{3, 1, 2, 5, 4, 7} {
		a.add(tag)
	}
	var methods []uint64
	a.flush(10, func(tag uint64, multiple bool) { methods = append(methods, tag) })
	if !slices.Equal(methods, []uint64{7, 5}) {
		t.Fatalf("methods for %v, want a single one for 7 and one for all up to 5", methods)
	}
}

// What a record keeps is what was acknowledged, and nothing else.
func TestPositionsAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acked := map[uint64]bool{}
		stream := []uint64{}
		offset := uint64(rapid.IntRange(0, 5).Draw(t, "first"))
		begin := offset
		for range rapid.IntRange(1, 60).Draw(t, "length") {
			stream = append(stream, offset)
			offset += uint64(rapid.IntRange(1, 2).Draw(t, "step")) // a stream leaves some out
		}
		p := positions{next: begin}
		for range rapid.IntRange(1, 5).Draw(t, "sessions") {
			got := map[uint64]uint64{} // ticket by offset
			from := p.next
			for _, o := range stream {
				if o < from {
					if !acked[o] {
						t.Fatalf("offset %d is passed over, and was not acknowledged", o)
					}
					continue
				}
				skip := p.skips(o)
				if skip && !acked[o] || !skip && acked[o] {
					t.Fatalf("offset %d: skipped %v, acknowledged %v", o, skip, acked[o])
				}
				ticket := p.start(o, skip)
				if !skip {
					got[o] = ticket
				}
				if rapid.IntRange(0, 20).Draw(t, "stop") == 0 {
					break
				}
			}
			for _, o := range stream {
				if ticket, ok := got[o]; ok && rapid.Bool().Draw(t, "ack") {
					p.done(ticket)
					p.done(ticket)
					acked[o] = true
				}
			}
			var err error
			if p, err = parsePositions(strings.Fields(p.record())); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPositionsThatCannotBeRead(t *testing.T) {
	for _, s := range []string{"", "x", "-1", "1-2", "1 2", "1 3-2", "1 x-2", "1 2-"} {
		if _, err := parsePositions(strings.Fields(s)); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}

func TestPartsOfRecords(t *testing.T) {
	var p partials
	type in struct{ id, part, body string }
	var got []string
	for _, x := range []in{
		{"a", "0/1", "one"},
		{"b", "0/3", "t"}, {"b", "1/3", "w"}, {"b", "2/3", "o"},
		{"c", "0/2", "cut off"},
		{"d", "0/2", "thr"}, {"d", "1/2", "ee"},
		{"e", "1/2", "no beginning"},
		{"f", "0/1", ""},
		// Two processes that write at the same time, an operator's and the bridge's.
		{"g", "0/2", "fo"}, {"h", "0/3", "f"}, {"i", "0/1", "in between"}, {"g", "1/2", "ur"},
		{"h", "1/3", "iv"}, {"h", "1/3", "repeated"}, {"h", "2/3", "e"},
	} {
		record, whole, err := p.add(x.id, x.part, []byte(x.body))
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			got = append(got, string(record))
		}
	}
	if want := []string{"one", "two", "three", "", "in between", "four", "five"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if _, _, err := p.add("x", "half", nil); err == nil {
		t.Fatal("a part without a number was taken")
	}
}

// What crashes left unfinished does not pile up.
func TestUnfinishedRecordsAreBounded(t *testing.T) {
	var p partials
	for i := range 3 * mostOpen {
		if _, whole, err := p.add(strconv.Itoa(i), "0/2", nil); whole || err != nil {
			t.Fatal(whole, err)
		}
	}
	if len(p.open) != mostOpen {
		t.Errorf("%d are kept, want %d", len(p.open), mostOpen)
	}
	if _, whole, _ := p.add(strconv.Itoa(3*mostOpen-1), "1/2", nil); !whole {
		t.Error("the newest is lost")
	}
}
