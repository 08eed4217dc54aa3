package dedupe_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// The golden values were computed with the reference implementation of XXH3 over
// the documented text. They never change: fingerprints may have been stored.
func TestOfIsStable(t *testing.T) {
	for _, c := range []struct {
		global  bool
		key, id string
		want    string
	}{
		{false, "", "", "9b49b22c6c79f61ca642dd277672ba7c"},
		{false, "cpu", "1", "5b1cf2d8eb98ba345529971ac43cc0d6"},
		{false, "cpu", "1 ", "2cfd953ff1bd1c269b32ca5e5c9e4379"},
		{false, "", "cpu1", "85cd93fa344e5b0cf48c11c39ce150c3"},
		{false, "cpu.load", "018f-6c2d", "9da4729c92c47db58925b87875524135"},
		{false, strings.Repeat("k", 127), "x", "bf25a3543bfb26971ec0285cc3b08b57"},
		{false, strings.Repeat("k", 128), "x", "34e00bb69ba5b688aff48da5bf4c82e7"},
		{false, "k", strings.Repeat("i", 400), "1e885a68943ad73b56e93a5251f2c1f9"},
		{true, "", "", "6c55a0c73e6b89e1aa19e6ddf2f9b697"},
		{true, "cpu", "1", "0d8b4c6e34f0b8b7f97a340d42ed57c6"},
		{true, "mem", "1", "0d8b4c6e34f0b8b7f97a340d42ed57c6"},
		{true, "", "cpu1", "690b70709327b00fd216a9427e753894"},
	} {
		fp := dedupe.Of(c.global, c.key, c.id)
		if got := hex.EncodeToString(fp[:]); got != c.want {
			t.Errorf("Of(%v, %.20q, %.20q) = %s, want %s", c.global, c.key, c.id, got, c.want)
		}
	}
}

// Identities that a careless framing takes for one another.
func TestOfTellsApart(t *testing.T) {
	type identity struct {
		global  bool
		key, id string
	}
	long := strings.Repeat("x", 300)
	var all []identity
	for _, global := range []bool{false, true} {
		for _, p := range [][2]string{
			{"", "ab"}, {"a", "b"}, {"ab", ""}, {"", "a\x01b"}, {"\x01a", "b"}, {"a\x00", "b"}, {"a", "\x00b"},
			{"a", "b "}, {"a", " b"}, {"a ", "b"}, {"A", "b"}, {"a", "B"}, {"a", "b\n"}, {"a", "b\xff"}, {"a", "b\xfe"},
			{"", ""}, {"a", ""}, {"", "a"}, {"k", "k"}, {"g", "g"}, {"", "kab"}, {"", "gab"}, {"\x02", "ab"}, {"", "\x02ab"},
			{long, ""}, {"", long}, {long[:299], "x"}, {"x", long[:299]}, {long[:128], long[128:]}, {long[:127], long[127:]},
			{"é", "1"}, {"e\u0301", "1"},
		} {
			if global {
				p[0], p[1] = "", p[0]+"/"+p[1] // the key plays no part there
			}
			all = append(all, identity{global, p[0], p[1]})
		}
	}
	seen := map[dedupe.Fingerprint]identity{}
	for _, i := range all {
		fp := dedupe.Of(i.global, i.key, i.id)
		if other, ok := seen[fp]; ok && other != i {
			t.Errorf("%.40q and %.40q share a fingerprint", fmt.Sprint(i), fmt.Sprint(other))
		}
		seen[fp] = i
	}
}

func checkOf(t rapid.TB, global1, global2 bool, key1, id1, key2, id2 string) {
	t.Helper()
	same := global1 == global2 && id1 == id2 && (global1 || key1 == key2)
	a, b := dedupe.Of(global1, key1, id1), dedupe.Of(global2, key2, id2)
	if (a == b) != same {
		t.Fatalf("Of(%v, %q, %q) = %x\nOf(%v, %q, %q) = %x", global1, key1, id1, a, global2, key2, id2, b)
	}
	if again := dedupe.Of(global1, strings.Clone(key1), strings.Clone(id1)); again != a {
		t.Fatalf("Of(%v, %q, %q) = %x and then %x", global1, key1, id1, a, again)
	}
}

// Parts cut from one text at different places make framing mistakes likely.
func TestOfProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("a\x01\x02kg ")), 0, 12, -1).Draw(t, "text")
		cut := rapid.IntRange(0, len(text))
		i, j := cut.Draw(t, "cut 1"), cut.Draw(t, "cut 2")
		checkOf(t, rapid.Bool().Draw(t, "global 1"), rapid.Bool().Draw(t, "global 2"), text[:i], text[i:], text[:j], text[j:])
	})
}

func FuzzOf(f *testing.F) {
	f.Add(false, false, "a", "b", "", "ab")
	f.Add(true, false, "", "k\x01ab", "a", "b")
	f.Add(false, false, strings.Repeat("k", 128), "", strings.Repeat("k", 127), "k")
	f.Fuzz(checkOfFuzz)
}

func checkOfFuzz(t *testing.T, global1, global2 bool, key1, id1, key2, id2 string) {
	checkOf(t, global1, global2, key1, id1, key2, id2)
}

func TestOfAllocatesNothing(t *testing.T) {
	key, id := strings.Repeat("k", 100), strings.Repeat("i", 150)
	if n := testing.AllocsPerRun(100, func() { dedupe.Of(false, key, id) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
