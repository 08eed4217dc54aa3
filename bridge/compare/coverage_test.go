package compare

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// seeMessage is what a reader does with a message that it had not seen.
func (c *coverage) seeMessage(d *Digester, side drift.Side, m *bridge.Message) {
	o := d.Of(m, time.Time{})
	c.see(side, &o, m)
}

// Keys are counted about right, whatever they look like: of each side, and of both.
func TestCoverageCountsKeys(t *testing.T) {
	d := &Digester{Seed: 1}
	for _, tc := range []struct {
		name string
		key  func(i int) string
		n    [2]int // of each side
		both int
	}{
		{"the same", func(i int) string { return fmt.Sprint("device-", i) }, [2]int{100_000, 100_000}, 100_000},
		{"half of them", func(i int) string { return fmt.Sprint(i) }, [2]int{100_000, 100_000}, 50_000},
		{"few of many", func(i int) string { return fmt.Sprintf("%08d", i) }, [2]int{100_000, 5_000}, 5_000},
		{"none", func(i int) string { return fmt.Sprintf("%x", i*i) }, [2]int{20_000, 20_000}, 0},
		{"few", func(i int) string { return fmt.Sprint("k", i) }, [2]int{17, 12}, 10},
		{"nothing", nil, [2]int{}, 0},
	} {
		c := newCoverage()
		for side, n := range tc.n {
			from := side * (tc.n[0] - tc.both)
			for i := from; i < from+n; i++ {
				for range 1 + i%3 { // how often a key comes makes no difference
					c.seeMessage(d, drift.Side(side), &bridge.Message{Key: tc.key(i)})
				}
			}
		}
		r := c.report()
		about := func(what string, got uint64, want int) {
			t.Helper()
			off := (tc.n[0] + tc.n[1]) / 50 // one in fifty of all
			if tc.n[0] < 100 {
				off = 0
			}
			if int(got) < want-off || int(got) > want+off {
				t.Errorf("%s: %d %s, want %d give or take %d", tc.name, got, what, want, off)
			}
		}
		about("keys of the incumbent", r.Keys[0], tc.n[0])
		about("keys of the candidate", r.Keys[1], tc.n[1])
		about("keys of both", r.Both, tc.both)
		if r.Both > min(r.Keys[0], r.Keys[1]) {
			t.Errorf("%s: both have %d of %v", tc.name, r.Both, r.Keys)
		}
	}
}

// What comes without a key is one key for each shard.
func TestCoverageOfShards(t *testing.T) {
	c, d := newCoverage(), &Digester{Seed: 1}
	for i := range 1000 {
		c.seeMessage(d, drift.Incumbent, &bridge.Message{Origin: bridge.Origin{Shard: int32(i % 5)}})
	}
	if r := c.report(); r.Keys != [2]uint64{5, 0} || r.Both != 0 {
		t.Errorf("%+v", r)
	}
}

func header(names ...string) (hs []bridge.Header) {
	for _, n := range names {
		hs = append(hs, bridge.Header{Name: n, Type: bridge.TypeString, Value: []byte("v")})
	}
	return hs
}

// Of messages of any number of kinds some are told apart, and the others counted.
func TestCoverageOfManyShapes(t *testing.T) {
	c, d := newCoverage(), &Digester{}
	const kinds, often = 10_000, 500
	for i := range kinds {
		c.seeMessage(d, drift.Incumbent, &bridge.Message{Headers: header(fmt.Sprint("h", i))})
	}
	for range often {
		c.seeMessage(d, drift.Incumbent, &bridge.Message{Headers: header("h7")})
	}
	r := c.report()
	if len(r.Shapes) != mostShapes || r.Shapes[1] != (Shape{"headers h7 S", often + 1}) {
		t.Errorf("%d shapes, %+v", len(r.Shapes), r.Shapes[:2])
	}
	// The null bodies are one kind.
	told := uint64(0)
	for i, s := range r.Shapes {
		told += s.N
		if i > 0 && (s.N > r.Shapes[i-1].N || s.N == r.Shapes[i-1].N && s.Text <= r.Shapes[i-1].Text) {
			t.Errorf("%+v comes behind %+v", s, r.Shapes[i-1])
		}
	}
	if bodies := uint64((kinds + often + bodiesSeen - 1) / bodiesSeen); told+r.Shapeless != kinds+often+bodies || r.Shapeless != kinds-(mostShapes-1) {
		t.Errorf("%d are told and %d are not", told, r.Shapeless)
	}
	// What the candidate alone has is none of the incumbent's kinds.
	c.seeMessage(d, drift.Candidate, &bridge.Message{Headers: header("odd")})
	if again := c.report(); again.Shapeless != r.Shapeless || !slices.Equal(again.Shapes, r.Shapes) {
		t.Errorf("%+v", again)
	}
}

// shapesOf gives the kinds of the bodies, or of the headers, of messages.
func shapesOf(bodies bool, ms ...bridge.Message) (texts []string) {
	c, d := newCoverage(), &Digester{}
	for i := range ms {
		c.n = 0 // each body is looked into
		c.seeMessage(d, drift.Incumbent, &ms[i])
	}
	for _, s := range c.report().Shapes {
		if text, is := strings.CutPrefix(s.Text, "bodies, of which 1 in 16 is looked into: "); is == bodies {
			texts = append(texts, fmt.Sprint(s.N, " ", text))
		}
	}
	return texts
}

func TestCoverageTellsKindsOfBodies(t *testing.T) {
	body := func(s string) bridge.Message { return bridge.Message{Body: []byte(s)} }
	long := `{"` + strings.Repeat("n", 100) + `":1}`
	var wide []string
	for i := range 40 {
		wide = append(wide, fmt.Sprintf(`"f%02d":%d`, i, i))
	}
	for _, tc := range []struct {
		ms   []bridge.Message
		want []string
	}{
		{[]bridge.Message{{}, {}, body(""), body("x"), body("\x00\xff"), body("[1]"), body("{}")}, []string{"4 octets", "2 null", "1 empty"}},
		{[]bridge.Message{body(`{"a":1}`), body(`{"a":2.5}`), body(`{ "a" : -3 }`)}, []string{"3 JSON with a number"}},
		{[]bridge.Message{body(`{"a":1}`), body(`{"a":null}`), body(`{"a":"1"}`), body(`{"a":[1]}`), body(`{"b":1}`), body(`{"a":1,"b":1}`)},
			[]string{"1 JSON with a json", "1 JSON with a null", "1 JSON with a number", "1 JSON with a number, b number", "1 JSON with a string", "1 JSON with b number"}},
		// Values make no kinds, nor does the order of fields.
		{[]bridge.Message{body(`{"a":true,"b":false}`), body(`{"b":true,"a":true}`), body(`{"a":false,"b":false}`)}, []string{"3 JSON with a boolean, b boolean"}},
		{[]bridge.Message{body(`{"a\u001b[31m<b>":1}`)}, []string{`1 JSON with a\x1B[31m<b> number`}},
		{[]bridge.Message{body(long)}, []string{"1 JSON with " + strings.Repeat("n", 40) + "… number"}},
		// Only so many fields are looked at.
		{[]bridge.Message{body("{" + strings.Join(wide, ",") + "}"), body("{" + strings.Join(wide, ",") + `,"more":1}`)}, []string{"2 JSON with f00 number, f01 number, f02 number, f03 number, f04 number, f05 number, f06 number, f07 number, f08 number, f09 number, f10 number, f11 number"}},
		{[]bridge.Message{body(`{"a":"` + strings.Repeat("x", 1<<16) + `"}`)}, []string{"1 octets"}}, // too long to look into
	} {
		if got := shapesOf(true, tc.ms...); !slices.Equal(got, tc.want) {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

func TestCoverageTellsKindsOfHeaders(t *testing.T) {
	typed := header("a")
	typed[0].Type = bridge.TypeBytes
	for _, tc := range []struct {
		ms   []bridge.Message
		want []string
	}{
		{[]bridge.Message{{}, {}}, []string{"2 no headers"}},
		{[]bridge.Message{{Headers: header("a", "b")}, {Headers: header("b", "a")}}, []string{"2 headers a S, b S"}},
		{[]bridge.Message{{Headers: header("a")}, {Headers: typed}, {Headers: header("a", "a")}}, []string{"1 headers a S", "1 headers a S, a S", "1 headers a x"}},
		{[]bridge.Message{{Headers: header("ab", "c")}, {Headers: header("a", "bc")}}, []string{"1 headers a S, bc S", "1 headers ab S, c S"}},
		{[]bridge.Message{{Headers: header("x\x1b[31m\n")}}, []string{`1 headers x\x1B[31m\x0A S`}},
	} {
		if got := shapesOf(false, tc.ms...); !slices.Equal(got, tc.want) {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

// Of bodies one in sixteen is looked into.
func TestCoverageLooksIntoSomeBodies(t *testing.T) {
	c, d := newCoverage(), &Digester{}
	for range 161 {
		c.seeMessage(d, drift.Incumbent, &bridge.Message{Body: []byte("x")})
	}
	want := []Shape{{"no headers", 161}, {"bodies, of which 1 in 16 is looked into: octets", 11}}
	if got := c.report().Shapes; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// What did not come up is named, and what did is not; the incumbent is who says.
func TestCoverageNamesWhatWasNotSeen(t *testing.T) {
	const i, k = "a broken connection to the incumbent", "a broken connection to the candidate"
	ordinary := func() *bridge.Message {
		return &bridge.Message{Key: "k", ID: bridge.ID{Value: "1"}, Body: []byte("x")}
	}
	var all []string
	for _, x := range conditions {
		all = append(all, x.text)
	}
	c, d := newCoverage(), &Digester{}
	if got := c.report().Unseen; !slices.Equal(got, append(slices.Clone(all), i, k)) {
		t.Errorf("of nothing: %q", got)
	}
	c.seeMessage(d, drift.Incumbent, ordinary())
	c.seeMessage(d, drift.Candidate, &bridge.Message{Headers: header("a", "a"), Expires: time.Unix(1, 0)})
	if got := c.report().Unseen; !slices.Equal(got, append(slices.Clone(all), i, k)) {
		t.Errorf("of an ordinary message: %q", got)
	}
	for _, tc := range []struct {
		text string // what has come up; empty is nothing
		make func(m *bridge.Message)
	}{
		{"null bodies", func(m *bridge.Message) { m.Body = nil }},
		{"empty bodies", func(m *bridge.Message) { m.Body = []byte{} }},
		{"", func(m *bridge.Message) { m.Body = bytes.Repeat([]byte("x"), 1<<16) }},
		{"bodies over 64 KiB", func(m *bridge.Message) { m.Body = bytes.Repeat([]byte("x"), 1<<16+1) }},
		{"bodies over 64 KiB", func(m *bridge.Message) { m.Body = bytes.Repeat([]byte("x"), 1<<20) }},
		{"bodies over 64 KiB, bodies over 1 MiB", func(m *bridge.Message) { m.Body = bytes.Repeat([]byte("x"), 1<<20+1) }},
		{"headers", func(m *bridge.Message) { m.Headers = header("a", "b", "A") }},
		{"headers, headers of one name more than once", func(m *bridge.Message) { m.Headers = header("a", "b", "c", "d", "e", "f", "g", "h", "a") }},
		{"messages without a key", func(m *bridge.Message) { m.Key = "" }},
		{"messages without a producer's ID", func(m *bridge.Message) { m.ID = bridge.ID{} }},
		{"messages without a producer's ID", func(m *bridge.Message) { m.ID.From = bridge.FromOrigin }},
		{"messages without a producer's ID", func(m *bridge.Message) { m.ID.From = bridge.FromContent }},
		{"messages that expire", func(m *bridge.Message) { m.Expires = time.Unix(1, 0) }},
	} {
		c, m := newCoverage(), ordinary()
		tc.make(m)
		c.seeMessage(d, drift.Incumbent, m)
		var want []string
		for _, text := range all {
			if !slices.Contains(strings.Split(tc.text, ", "), text) {
				want = append(want, text)
			}
		}
		if got := c.report().Unseen; !slices.Equal(got, append(want, i, k)) {
			t.Errorf("%s: not seen are %q", tc.text, got)
		}
	}
	c = newCoverage()
	c.session(drift.Incumbent)
	c.session(drift.Candidate)
	c.session(drift.Candidate)
	if got := c.report().Unseen; !slices.Equal(got, append(slices.Clone(all), i)) {
		t.Errorf("with two sessions of the candidate: %q", got)
	}
}

// Memory does not grow with what comes.
func TestCoverageIsBounded(t *testing.T) {
	c, d := newCoverage(), &Digester{}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 5_000 {
		c.seeMessage(d, drift.Incumbent, &bridge.Message{Headers: header(fmt.Sprint(rng.Uint64())), Body: fmt.Appendf(nil, `{"%d":1}`, rng.Uint64())})
	}
	if len(c.shapes) > mostShapes {
		t.Errorf("%d shapes", len(c.shapes))
	}
	for _, s := range c.report().Shapes {
		if len(s.Text) > 1000 {
			t.Errorf("%d octets: %.80s", len(s.Text), s.Text)
		}
	}
}
