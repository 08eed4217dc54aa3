package dedupe_test

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// An ID that was derived once must be derived again after any restart and by any
// release, or every message would be placed a second time.
func TestFromOriginIsStable(t *testing.T) {
	for _, c := range []struct {
		system, cluster, stream, incarnation string
		shard                                int32
		offset                               uint64
		want                                 string
	}{
		{"", "", "", "", 0, 0, "2a33816ed7e0c373dbe563c737220b65-0-0"},
		{"nats", "NABC", "TELEMETRY", "2026-11-22T00:00:00Z", 0, 42, "fa7ed14a6e76c75b5f490f7381003291-0-42"},
		{"kafka", "Mk3", "t", "top1", -1, math.MaxUint64, "8eb35f016bb6b7ad7126d57b55830cc7--1-18446744073709551615"},
	} {
		if got := dedupe.FromOrigin(c.system, c.cluster, c.stream, c.incarnation, c.shard, c.offset); got != c.want {
			t.Errorf("FromOrigin(%q, %q, %q, %q, %d, %d) = %s, want %s",
				c.system, c.cluster, c.stream, c.incarnation, c.shard, c.offset, got, c.want)
		}
	}
}

// Every part of the coordinate counts, and none runs into the next one.
func TestFromOriginTellsApart(t *testing.T) {
	type origin struct {
		system, cluster, stream, incarnation string
		shard                                int32
		offset                               uint64
	}
	long := strings.Repeat("s", 300)
	seen := map[string]origin{}
	for _, o := range []origin{
		{"nats", "c", "s", "i", 0, 0}, {"kafka", "c", "s", "i", 0, 0}, {"nats", "d", "s", "i", 0, 0},
		{"nats", "c", "r", "i", 0, 0}, {"nats", "c", "s", "j", 0, 0}, {"nats", "c", "s", "i", 1, 0},
		{"nats", "c", "s", "i", 0, 1}, {"nats", "c", "s", "i", 1, 1}, {"nats", "c", "s", "i", -1, 1},
		{"nats", "c", "s", "i", 11, 1}, {"nats", "c", "s", "i", 1, 11}, {"nats", "c", "s", "i", 0, math.MaxUint64},
		{"nats", "cs", "", "i", 0, 0}, {"nats", "", "cs", "i", 0, 0}, {"natsc", "", "s", "i", 0, 0},
		{"nats", "c", "si", "", 0, 0}, {"nats", "c", "", "si", 0, 0}, {"nats", "c", "s", "i ", 0, 0},
		{"nats", "c", long, "", 0, 0}, {"nats", "c", long[1:], "s", 0, 0},
	} {
		id := dedupe.FromOrigin(o.system, o.cluster, o.stream, o.incarnation, o.shard, o.offset)
		if other, ok := seen[id]; ok {
			t.Errorf("%v and %v share the ID %s", o, other, id)
		}
		seen[id] = o
		if i := strings.IndexFunc(id, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef-", r) }); i >= 0 {
			t.Errorf("%v: ID %q has %q in it", o, id, id[i])
		}
	}
}

func TestFromOriginProperties(t *testing.T) {
	part := rapid.StringOfN(rapid.RuneFrom([]rune("ab/ é")), 0, 3, -1)
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) ([4]string, int32, uint64) {
			return [4]string{part.Draw(t, label+" system"), part.Draw(t, label+" cluster"), part.Draw(t, label+" stream"), part.Draw(t, label+" incarnation")},
				rapid.Int32Range(-2, 20).Draw(t, label+" shard"), rapid.Uint64Range(0, 20).Draw(t, label+" offset")
		}
		names1, shard1, offset1 := draw("one")
		names2, shard2, offset2 := draw("other")
		a := dedupe.FromOrigin(names1[0], names1[1], names1[2], names1[3], shard1, offset1)
		b := dedupe.FromOrigin(names2[0], names2[1], names2[2], names2[3], shard2, offset2)
		if same := names1 == names2 && shard1 == shard2 && offset1 == offset2; same != (a == b) {
			t.Fatalf("%q/%d/%d gives %s and %q/%d/%d gives %s", names1, shard1, offset1, a, names2, shard2, offset2, b)
		}
	})
}

// The golden values were computed with another implementation of SHA-256.
func TestFromContentIsStable(t *testing.T) {
	for _, c := range []struct {
		parts [][]byte
		want  string
	}{
		{nil, "e3b0c44298fc1c149afbf4c8996fb924"},
		{[][]byte{nil}, "96a296d224f285c67bee93c30f8a3091"},
		{[][]byte{{}}, "47dc540c94ceb704a23875c11273e16b"},
		{[][]byte{[]byte("ab"), []byte("c")}, "861474100954708357d88ce74e7b62c2"},
		{[][]byte{[]byte("a"), []byte("bc")}, "af1b3e69a275120492415ac71824f374"},
	} {
		if got := dedupe.FromContent(c.parts...); got != c.want {
			t.Errorf("FromContent(%q) = %s, want %s", c.parts, got, c.want)
		}
	}
}

// checkContent compares the IDs of one text cut into parts at two sets of places.
func checkContent(t rapid.TB, one, other [][]byte) {
	t.Helper()
	same := slices.EqualFunc(one, other, func(a, b []byte) bool {
		return bytes.Equal(a, b) && (a == nil) == (b == nil)
	})
	a, b := dedupe.FromContent(one...), dedupe.FromContent(other...)
	if same != (a == b) {
		t.Fatalf("FromContent(%s) = %s\nFromContent(%s) = %s", show(one), a, show(other), b)
	}
	if len(a) != 32 || strings.Trim(a, "0123456789abcdef") != "" {
		t.Fatalf("FromContent(%s) = %q, want 32 hexadecimal digits", show(one), a)
	}
}

func show(parts [][]byte) string { return fmt.Sprintf("%#v", parts) }

func TestFromContentProperties(t *testing.T) {
	part := rapid.OneOf(rapid.Just([]byte(nil)), rapid.Just([]byte{}), rapid.SliceOfN(rapid.ByteRange(0, 2), 0, 3))
	parts := rapid.SliceOfN(part, 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		checkContent(t, parts.Draw(t, "one"), parts.Draw(t, "other"))
	})
}

func FuzzFromContent(f *testing.F) {
	f.Add([]byte("ab"), []byte("c"), []byte("a"), []byte("bc"))
	f.Add([]byte(nil), []byte{}, []byte{}, []byte(nil))
	f.Add([]byte("\x01\x01a"), []byte(nil), []byte("a"), []byte("\x01\x00"))
	f.Fuzz(func(t *testing.T, a, b, c, d []byte) {
		checkContent(t, [][]byte{a, b}, [][]byte{c, d})
		checkContent(t, [][]byte{a, b}, [][]byte{append(append([]byte{}, a...), b...)})
		checkContent(t, [][]byte{a}, [][]byte{a, nil})
	})
}
