package park

import (
	"bytes"
	"context"
	"errors"
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

func all(t testing.TB, p *Place) (got []Parked) {
	t.Helper()
	if err := p.Each(t.Context(), func(x *Parked) error { got = append(got, *x); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func drawMessage(t *rapid.T) bridge.Message {
	octets := rapid.SliceOfN(rapid.Byte(), 0, 40)
	m := bridge.Message{
		Key:     string(octets.Draw(t, "key")),
		ID:      bridge.ID{Value: string(octets.Draw(t, "id")), Scope: bridge.Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: bridge.Provenance(rapid.IntRange(0, 2).Draw(t, "from"))},
		Address: bridge.Address{Space: string(octets.Draw(t, "space")), Name: string(octets.Draw(t, "name")), Partition: int32(rapid.IntRange(0, 9).Draw(t, "partition"))},
		Origin:  bridge.Origin{Stream: &bridge.Stream{System: "x", Cluster: string(octets.Draw(t, "cluster")), Name: "q", Incarnation: "1", Replayable: rapid.Bool().Draw(t, "replayable")}, Offset: rapid.Uint64().Draw(t, "offset")},
	}
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

// Whatever is parked comes back octet by octet, through parts of any size.
func TestParkedMessageComesBackWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Parked{At: time.Unix(1, 2).UTC(), Reason: bridge.ReasonPoison, Cause: "because", Message: drawMessage(t)}
		payload, err := encode(&want)
		if err != nil {
			t.Fatal(err)
		}
		records, err := split(payload, rapid.IntRange(partHeader+1, partHeader+500).Draw(t, "most"))
		if err != nil {
			t.Fatal(err)
		}
		var j joiner
		for i, r := range records {
			p, err := j.add(r)
			if err != nil || (p != nil) != (i == len(records)-1) {
				t.Fatalf("part %d of %d: complete %v, err %v", i, len(records), p != nil, err)
			}
			if p == nil {
				continue
			}
			got, err := decode(p)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, want) {
				t.Fatalf("got  %+v\nwant %+v", *got, want)
			}
		}
	})
}

// A crash between the parts of a message leaves no half message, and does not
// hide the next one.
func TestUnfinishedGroupIsPassedOver(t *testing.T) {
	first, err := split(bytes.Repeat([]byte("a"), 100), partHeader+30)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := split([]byte("whole"), partHeader+30)
	var j joiner
	for _, r := range [][]byte{first[0], first[1], second[0]} {
		p, err := j.add(r)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil && string(p) != "whole" {
			t.Fatalf("a half message came out: %q", p)
		}
	}
	if p, err := j.add(first[2]); p != nil || err != nil {
		t.Fatalf("a part without its beginning: %q, %v", p, err)
	}
}

func TestFileSurvivesReopeningAndATornEnd(t *testing.T) {
	place, path := filePlace(t)
	for _, body := range []string{"one", "two"} {
		if err := place.Park(t.Context(), &bridge.Message{Body: []byte(body)}, bridge.ReasonOversized, errors.New("too large")); err != nil {
			t.Fatal(err)
		}
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
		if err := place.Park(t.Context(), &bridge.Message{Body: []byte("three")}, bridge.ReasonPoison, errors.New("no")); err != nil {
			t.Fatal(err)
		}
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
	if _, err := j.add([]byte("something else entirely, but long enough")); err == nil {
		t.Fatal("accepted")
	}
	place := New(func(context.Context) (bridge.Journal, error) { return OpenFile(t.TempDir()) })
	err := place.Park(t.Context(), &bridge.Message{}, bridge.ReasonPoison, errors.New("x"))
	if bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Fatalf("a folder in place of the file: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := encode(&Parked{Message: bridge.Message{Key: "k", Body: []byte("b")}})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decode(b)
		if err != nil {
			return
		}
		if _, err := encode(p); err != nil {
			t.Fatalf("read but cannot be written: %v", err)
		}
	})
}

// A process that was stopped may finish its record after another has begun one.
func TestGroupsInBetweenEachOtherAreBothWhole(t *testing.T) {
	a, _ := split([]byte("first, in two parts"), partHeader+10)
	b, _ := split([]byte("other, in two parts"), partHeader+10)
	var j joiner
	var got []string
	for _, r := range [][]byte{a[0], b[0], a[1], b[1]} {
		p, err := j.add(r)
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
