package bridge

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternsAreRead(t *testing.T) {
	for _, c := range []struct {
		got  Pattern
		want string
	}{
		{TopicPattern("a.*.#"), "a.*.#"}, {TopicPattern("#.#"), "#"}, {TopicPattern("#.*"), "*.#"}, {TopicPattern("#.*.a.#.*.*"), "*.#.a.*.*.#"},
		{TopicPattern(""), ""}, {TopicPattern("a*.b"), "a*.b"}, {TopicPattern(`\x`), `\\x`},
		{SubjectPattern("a.>"), "a.*.#"}, {SubjectPattern(">"), "*.#"}, {SubjectPattern("a.*"), "a.*"}, {SubjectPattern("a.#"), `a.\#`}, {SubjectPattern("a"), "a"},
		{ExactPattern("a.*.#"), `a.\*.\#`}, {ExactPattern(""), ""}, {ExactPattern("a..b"), "a..b"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestPatternsCompare(t *testing.T) {
	for _, c := range []struct {
		p, q             Pattern
		covers, overlaps bool
	}{
		{"#", "", true, true}, {"#", "a.b", true, true}, {"*.#", "", false, false}, {"*.#", "a", true, true}, {"*", "a.b", false, false},
		{"a.#", "a", true, true}, {"a.#", "a.*.#", true, true}, {"a.*.#", "a.#", false, true}, {"a.*", "*.b", false, true}, {"a.*", "b.*", false, false},
		{"#.b", "a.#", false, true}, {"#.b", "a.c", false, false}, {"*.*", "#", false, true}, {"#.a.#", "x.a.y.z", true, true},
		{"a", "a", true, true}, {"a", "b", false, false}, {`\*`, "*", false, true}, {"*", `\*`, true, true},
	} {
		if got := c.p.Covers(c.q); got != c.covers {
			t.Errorf("%q covers %q: %v", c.p, c.q, got)
		}
		if got := c.p.Overlaps(c.q); got != c.overlaps {
			t.Errorf("%q overlaps %q: %v", c.p, c.q, got)
		}
		if c.p.Overlaps(c.q) != c.q.Overlaps(c.p) {
			t.Errorf("%q and %q: overlapping has a direction", c.p, c.q)
		}
	}
}

// holds is the meaning of a pattern, as simply as it can be said.
func holds(pattern, name []string) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == "#":
		return holds(pattern[1:], name) || len(name) > 0 && holds(pattern, name[1:])
	case len(name) == 0:
		return false
	}
	return (pattern[0] == "*" || pattern[0] == name[0]) && holds(pattern[1:], name[1:])
}

func TestPatternsHoldWhatTheirTokensSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tokens := func(of []string, label string) []string {
			return rapid.SliceOfN(rapid.SampledFrom(of), 0, 5).Draw(t, label)
		}
		p, q := tokens([]string{"a", "b", "*", "#"}, "p"), tokens([]string{"a", "b", "*", "#"}, "q")
		name := tokens([]string{"a", "b"}, "name")
		P, Q, N := TopicPattern(strings.Join(p, ".")), TopicPattern(strings.Join(q, ".")), ExactPattern(strings.Join(name, "."))
		inP, inQ := holds(p, name), holds(q, name)
		if P.Covers(N) != inP || P.Overlaps(N) != inP {
			t.Fatalf("%q and the name %q: covers %v, overlaps %v, want %v", P, N, P.Covers(N), P.Overlaps(N), inP)
		}
		if inP && inQ && !P.Overlaps(Q) {
			t.Fatalf("%q is in %q and %q, which do not overlap", N, P, Q)
		}
		if P.Covers(Q) && inQ && !inP {
			t.Fatalf("%q covers %q, but %q is only in that", P, Q, N)
		}
		if !P.Covers(P) {
			t.Fatalf("%q does not cover itself", P)
		}
	})
}

// What a template makes of a message is among what it makes of the message's
// address.
func TestTemplatePatterns(t *testing.T) {
	encode := func(dst []byte, value string, dotted bool) ([]byte, error) {
		if value == "" {
			return append(dst, '%'), nil
		}
		return AppendEscaped(dst, value, func(c byte) bool { return tokenSafe(c) || dotted && c == '.' }), nil
	}
	for _, c := range []struct {
		template, space string
		address         Pattern
		want            Pattern
		none            bool
	}{
		{template: "x.{address}", address: "#", want: "x.*.#"},
		{template: "x.{address}", address: "a.#", want: "x.a.#"},
		{template: "x.{address}", address: "a.b", want: "x.a.b"},
		{template: "x.{address}", address: "", want: "x.%"},
		{template: "{exchange}.{address}", space: "e.f", address: "*", want: "e%2Ef.*"},
		{template: "{exchange}.{address}", address: "a", want: "*.a"},
		{template: "x.{token:2}.{key}", address: "a.b.#", want: "x.b.*"},
		{template: "x.{token:2}", address: "#", want: "x.*"},
		{template: "x.{token:3}", address: "a.*", none: true},
		{template: "x.{token:3}", address: "a.b", none: true},
		{template: "x.{header:h}.y", address: "a.*", want: "x.*.y"},
		{template: "fixed", address: "#", want: "fixed"},
	} {
		tpl, err := ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := tpl.Pattern(c.space, c.address, encode); ok == c.none || ok && got != c.want {
			t.Errorf("%s of %q: %q, %v, want %q", c.template, c.address, got, ok, c.want)
		}
	}
	templates := []string{"x.{address}", "{address}", "{exchange}.{address}.{key}", "x.{token:2}.{header:h}", "{token:1}", "x.{exchange}"}
	rapid.Check(t, func(t *rapid.T) {
		tpl, err := ParseTemplate(rapid.SampledFrom(templates).Draw(t, "template"))
		if err != nil {
			t.Fatal(err)
		}
		pattern := TopicPattern(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "*", "#", "b c"}), 0, 4).Draw(t, "pattern"), "."))
		m := Message{
			Key: anyString(t, "key"), Address: Address{Space: rapid.SampledFrom([]string{"e", "e.f"}).Draw(t, "space"), Name: strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b c", "d"}), 0, 5).Draw(t, "name"), ".")},
			Headers: []Header{{Name: "h", Value: []byte("v.w")}},
		}
		name, err := tpl.Append(nil, &m, encode)
		if err != nil || !pattern.Covers(ExactPattern(m.Address.Name)) {
			t.Skip("the message has no name, or another address")
		}
		for _, space := range []string{m.Address.Space, ""} {
			if p, ok := tpl.Pattern(space, pattern, encode); !ok || !p.Covers(ExactPattern(string(name))) {
				t.Fatalf("%s of %q makes %q, of a message at %q it makes %q", tpl, pattern, p, m.Address.Name, name)
			}
		}
	})
}
