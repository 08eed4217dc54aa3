package kafka

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What is noted above a floor is read back as it was, and what has no room is left out
// at the end: it comes again.
func TestNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		floor := rapid.Int64Range(0, 1<<60).Draw(t, "floor")
		var early []run
		at := floor
		for range rapid.IntRange(0, 600).Draw(t, "runs") {
			first := at + rapid.Int64Range(1, 1<<20).Draw(t, "gap")
			last := first + rapid.Int64Range(0, 1000).Draw(t, "length")
			early, at = append(early, run{first, last}), last+1
		}
		text := noteOf("0123456789abcdef0123456789abcdef", floor, early).text()
		if len(text) > maxNote {
			t.Fatalf("%d octets", len(text))
		}
		m := mark{floor: floor}
		if err := json.Unmarshal([]byte(text), &m.note); err != nil {
			t.Fatal(err)
		}
		got := m.runs()
		if len(got) > len(early) || !slices.Equal(got, early[:len(got)]) {
			t.Fatalf("%v, want the first of %v", got, early)
		}
		if len(got) < len(early) && len(text) < maxNote/2 {
			t.Fatalf("%d of %d runs in %d octets", len(got), len(early), len(text))
		}
	})
}

// The end of a record set is where a reader that checks everything ends too.
func TestEndOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set []byte
		var w batchWriter
		for range rapid.IntRange(0, 5).Draw(t, "batches") {
			w.begin(noProducer, noProducer, noProducer, codecNone)
			for range rapid.IntRange(1, 5).Draw(t, "records") {
				w.add(1, nil, rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "value"), nil)
			}
			b, err := w.finish()
			if err != nil {
				t.Fatal(err)
			}
			set = append(set, b...)
		}
		set = set[:len(set)-rapid.IntRange(0, min(len(set), 100)).Draw(t, "cut")]
		var r batchReader
		r.reset(set)
		want := int64(0)
		for {
			h, ok, err := r.nextBatch()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			want = h.lastOffset + 1
		}
		if got, _ := endOf(set); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

// What members of a group say may be anything.
func FuzzMembers(f *testing.F) {
	o := thisProcess("p")
	f.Add(subscription([]string{"a", "b"}, &o))
	f.Add(assignment{"a": {0, 1}}.append(nil, true))
	f.Add(assignment{"a": {0, 1}}.append(nil, false))
	f.Fuzz(func(t *testing.T, b []byte) {
		if o, ok := subscriber(b); ok && o.Process == "" {
			t.Error("an owner without a process")
		}
		hasTap(b)
	})
	if got, ok := subscriber(subscription([]string{"a", "b"}, &o)); !ok || got != o {
		f.Errorf("%+v, %v", got, ok)
	}
	if !hasTap(assignment{"a": {0, 1}}.append(nil, true)) || !hasTap(assignment{}.append(nil, true)) || hasTap(assignment{"a": {0, 1}}.append(nil, false)) || hasTap(nil) {
		f.Error("who has the tap is not read back")
	}
}
