package park

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

func filePlace(t interface{ TempDir() string }) (*Place, string) {
	path := filepath.Join(t.TempDir(), "deep", "parked")
	return New(func(context.Context) (bridge.Journal, error) { return OpenFile(path) }), path
}

func all(t testing.TB, p *Place) (got []bridge.Parked) {
	t.Helper()
	if err := p.Waiting(t.Context(), func(x *bridge.Parked) error { got = append(got, *x); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func parkOne(t testing.TB, p *Place, body string, reason bridge.Reason) string {
	t.Helper()
	one := []bridge.Parked{{Reason: reason, Cause: "too large", Message: bridge.Message{Key: "k", Body: []byte(body)}}}
	if err := p.Park(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	return one[0].Ref
}

func drawMessage(t *rapid.T) bridge.Message {
	octets := rapid.SliceOfN(rapid.Byte(), 0, 40)
	m := bridge.Message{
		Key:     string(octets.Draw(t, "key")),
		ID:      bridge.ID{Value: string(octets.Draw(t, "id")), Scope: bridge.Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))},
		Address: bridge.Address{Space: string(octets.Draw(t, "space")), Name: string(octets.Draw(t, "name")), Partition: int32(rapid.IntRange(0, 9).Draw(t, "partition"))},
		Origin:  bridge.Origin{Stream: &bridge.Stream{System: "x", Cluster: string(octets.Draw(t, "cluster")), Name: "q", Incarnation: "1", Replayable: rapid.Bool().Draw(t, "replayable")}, Offset: rapid.Uint64().Draw(t, "offset")},
	}
	m.Via = rapid.SampledFrom([]string{"", "b/r", "b/r c/back"}).Draw(t, "via")
	if rapid.Bool().Draw(t, "body?") {
		m.Body = append([]byte{}, octets.Draw(t, "body")...)
	}
	if rapid.Bool().Draw(t, "time?") {
		m.Time = time.Unix(0, rapid.Int64Range(1, 1<<61).Draw(t, "time")).UTC()
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		h := bridge.Header{Name: string(octets.Draw(t, "name")), Type: bridge.Type(rapid.IntRange(0, int(bridge.TypeArray)).Draw(t, "type"))}
		if h.Type != bridge.TypeNull {
			h.Value = append([]byte{}, octets.Draw(t, "value")...)
		}
		m.Headers = append(m.Headers, h)
	}
	for range rapid.IntRange(0, 3).Draw(t, "properties") {
		k := bridge.PropertyKind(rapid.IntRange(1, int(bridge.KindKey)).Draw(t, "kind"))
		p := bridge.Property{Kind: k, Null: rapid.Bool().Draw(t, "null")}
		if k.Number() {
			p.Num = rapid.Int64().Draw(t, "num")
		} else {
			p.Text = string(octets.Draw(t, "text"))
		}
		m.Properties = append(m.Properties, p)
	}
	return m
}

// Whatever is parked comes back octet by octet, several together, through parts of
// any size.
func TestParkedMessagesComeBackWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var payload []byte
		var want []bridge.Parked
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			p := bridge.Parked{At: time.Unix(1, 2).UTC(), Reason: bridge.ReasonPoison, Cause: "because", Shard: 3, Hold: true, Message: drawMessage(t)}
			var err error
			if payload, err = appendItem(payload, itemOf(&p)); err != nil {
				t.Fatal(err)
			}
			want = append(want, p)
		}
		records, err := split(newGroup(), payload, rapid.IntRange(partHeader+1, partHeader+500).Draw(t, "most"))
		if err != nil {
			t.Fatal(err)
		}
		var j joiner
		for i, r := range records {
			_, b, err := j.add(r)
			if err != nil || (b != nil) != (i == len(records)-1) {
				t.Fatalf("part %d of %d: complete %v, err %v", i, len(records), b != nil, err)
			}
			if b == nil {
				continue
			}
			got, err := items(b)
			if err != nil || len(got) != len(want) {
				t.Fatalf("%d of %d items: %v", len(got), len(want), err)
			}
			for i := range got {
				p, err := got[i].parked()
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(*p, want[i]) {
					t.Fatalf("got  %+v\nwant %+v", *p, want[i])
				}
			}
		}
	})
}

// A naive model of what notes do agrees with the index, whatever the order.
func TestNotesSayWhatBecomesOfAMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("crossfade-park-%d-%d", os.Getpid(), time.Now().UnixNano()))
		defer os.Remove(path)
		p := New(func(context.Context) (bridge.Journal, error) { return OpenFile(path) })
		defer p.Close()
		ctx := context.Background()
		type state struct {
			ref, key                string
			hold, gone, done, retry bool
		}
		var model []*state
		pick := func() *state { return model[rapid.IntRange(0, len(model)-1).Draw(t, "which")] }
		of := func(s *state) (same []*state) { // those that are asked for together
			for _, o := range model {
				if o == s || s.hold && o.hold && o.key == s.key && !o.gone {
					same = append(same, o)
				}
			}
			return same
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 5).Draw(t, "what"); {
			case what < 2 || len(model) == 0:
				s := &state{key: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"), hold: rapid.Bool().Draw(t, "hold")}
				for _, o := range model { // what joins those that are sent again is sent again
					s.retry = s.retry || s.hold && o.hold && o.key == s.key && !o.gone && o.retry
				}
				one := []bridge.Parked{{Hold: s.hold, Message: bridge.Message{Key: s.key}}}
				if err := p.Park(ctx, one); err != nil {
					t.Fatal(err)
				}
				s.ref, model = one[0].Ref, append(model, s)
			case what == 2:
				s := pick()
				if err := p.Placed(ctx, []string{s.ref, "nobody.0"}); err != nil {
					t.Fatal(err)
				}
				s.done = s.done || !s.gone
				s.gone = true
			case what == 3:
				s := pick()
				if err := p.Discard(ctx, []string{s.ref}); err != nil {
					t.Fatal(err)
				}
				s.gone = true
			default:
				s, yes := pick(), what == 4
				err := p.Retry(ctx, []string{s.ref})
				if !yes {
					err = p.Refused(ctx, s.ref, bridge.ReasonPoison, "again")
				}
				if err != nil {
					t.Fatal(err)
				}
				if !s.gone {
					for _, o := range of(s) {
						o.retry = yes
					}
				}
			}
		}
		i := 0
		err := p.Each(ctx, func(got *bridge.Parked) error {
			for i < len(model) && model[i].gone && !model[i].done {
				i++
			}
			if i == len(model) || got.Ref != model[i].ref || got.Done != model[i].gone || !got.Done && got.Retry != model[i].retry {
				t.Fatalf("got %+v, model %+v", got, model[min(i, len(model)-1)])
			}
			i++
			return nil
		})
		for i < len(model) && model[i].gone && !model[i].done {
			i++
		}
		if err != nil || i != len(model) {
			t.Fatalf("%d of %d read, %v", i, len(model), err)
		}
	})
}

// A crash between the parts of a message leaves no half message, and does not
// hide the next one.
func TestUnfinishedGroupIsPassedOver(t *testing.T) {
	first, err := split(newGroup(), bytes.Repeat([]byte("a"), 100), partHeader+30)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := split(newGroup(), []byte("whole"), partHeader+30)
	var j joiner
	for _, r := range [][]byte{first[0], first[1], second[0]} {
		_, p, err := j.add(r)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil && string(p) != "whole" {
			t.Fatalf("a half message came out: %q", p)
		}
	}
	if _, p, err := j.add(first[2]); p != nil || err != nil {
		t.Fatalf("a part without its beginning: %q, %v", p, err)
	}
}

func TestFileSurvivesReopeningAndATornEnd(t *testing.T) {
	place, path := filePlace(t)
	for _, body := range []string{"one", "two"} {
		parkOne(t, place, body, bridge.ReasonOversized)
	}
	if err := place.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range 12 {
		if err := os.WriteFile(path, append(bytes.Clone(whole), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		parkOne(t, place, "three", bridge.ReasonPoison)
		got := all(t, place)
		if len(got) != 3 || string(got[2].Message.Body) != "three" || got[0].Cause != "too large" {
			t.Fatalf("torn by %d octets: %d records", cut, len(got))
		}
		if err := place.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeignRecordIsAnError(t *testing.T) {
	var j joiner
	if _, _, err := j.add([]byte("something else entirely, but long enough")); err == nil {
		t.Fatal("accepted")
	}
	place := New(func(context.Context) (bridge.Journal, error) { return OpenFile(t.TempDir()) })
	err := place.Park(t.Context(), []bridge.Parked{{}})
	if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Fatalf("a folder in place of the file: %v", err)
	}
}

func FuzzItems(f *testing.F) {
	b, _ := appendItem(nil, itemOf(&bridge.Parked{Message: bridge.Message{Key: "k", Body: []byte("b")}}))
	f.Add(b)
	b, _ = appendItem(b, &item{Note: noteRetry, Refs: []string{"a.1"}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := items(b)
		if err != nil {
			return
		}
		x := newIndex()
		for i := range all {
			x.apply(fmt.Sprint("a.", i), &all[i])
			if p, err := all[i].parked(); err == nil {
				if _, err := appendItem(nil, itemOf(p)); err != nil {
					t.Fatalf("read but cannot be written: %v", err)
				}
			}
		}
	})
}

// A process that was stopped may finish its record after another has begun one.
func TestGroupsInBetweenEachOtherAreBothWhole(t *testing.T) {
	a, _ := split(newGroup(), []byte("first, in two parts"), partHeader+10)
	b, _ := split(newGroup(), []byte("other, in two parts"), partHeader+10)
	var j joiner
	var got []string
	for _, r := range [][]byte{a[0], b[0], a[1], b[1]} {
		_, p, err := j.add(r)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil {
			got = append(got, string(p))
		}
	}
	if len(got) != 2 || got[0] != "first, in two parts" || got[1] != "other, in two parts" {
		t.Errorf("%q", got)
	}
}
