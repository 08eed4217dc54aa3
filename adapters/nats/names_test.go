package nats

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/crossfade-mq/crossfade/bridge"
)

func encoded(t interface{ Fatal(...any) }, value string, dotted bool) string {
	b, err := appendSubject(nil, value, dotted)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSubjectsOfOddNames(t *testing.T) {
	for _, c := range []struct {
		value, dotted, token string
	}{
		{"plant.line-1.temp", "plant.line-1.temp", "plant%2Eline-1%2Etemp"},
		{"", "%", "%"},
		{".", "%.%", "%2E"},
		{"a..b", "a.%.b", "a%2E%2Eb"},
		{"a.", "a.%", "a%2E"},
		{"%", "%25", "%25"},
		{"%25", "%2525", "%2525"},
		{"*", "%2A", "%2A"},
		{"a*", "a%2A", "a%2A"},
		{">", "%3E", "%3E"},
		{"$JS.API", "%24JS.API", "%24JS%2EAPI"},
		{"two words", "two%20words", "two%20words"},
		{"tab\tnl\n", "tab%09nl%0A", "tab%09nl%0A"},
		{"é", "%C3%A9", "%C3%A9"},
		{"\xff\x00", "%FF%00", "%FF%00"},
	} {
		if got := encoded(t, c.value, true); got != c.dotted {
			t.Errorf("%q dotted: %q, want %q", c.value, got, c.dotted)
		}
		if got := encoded(t, c.value, false); got != c.token {
			t.Errorf("%q as a token: %q, want %q", c.value, got, c.token)
		}
	}
}

// checkSubject holds what has to be true of every name.
func checkSubject(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, value string) {
	for _, dotted := range []bool{true, false} {
		s := encoded(t, value, dotted)
		if !server.IsValidPublishSubject(s) {
			t.Fatalf("%q becomes %q, which is no subject to publish to", value, s)
		}
		if strings.ContainsAny(s, "*>$ \t\r\n") {
			t.Fatalf("%q becomes %q, which means something to the server", value, s)
		}
		if tokens := strings.Count(s, "."); dotted && tokens != strings.Count(value, ".") || !dotted && tokens != 0 {
			t.Fatalf("%q becomes %q: its tokens are not kept", value, s)
		}
		back, err := decodeSubject(s)
		if err != nil || back != value {
			t.Fatalf("%q becomes %q and then %q, %v", value, s, back, err)
		}
	}
}

// Reversible means injective: two names of one subject could not both be read
// back.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a.b", "%", "%2E", "*", ">", "$SYS", "é", "\xff", "a b", strings.Repeat("x.", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) { checkSubject(t, value) })
}

func TestSubjectsAreInjective(t *testing.T) {
	// Few letters, so that near misses are common.
	odd := rapid.StringOfN(rapid.RuneFrom([]rune{'a', '.', '%', '2', 'E', '*', '>', ' ', 'é'}), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := odd.Draw(t, "a"), odd.Draw(t, "b")
		checkSubject(t, a)
		for _, dotted := range []bool{true, false} {
			if (encoded(t, a, dotted) == encoded(t, b, dotted)) != (a == b) {
				t.Fatalf("%q and %q become %q", a, b, encoded(t, a, dotted))
			}
		}
	})
}

func TestStreamNamesAreInjective(t *testing.T) {
	odd := rapid.StringOfN(rapid.RuneFrom([]rune{'a', '.', '%', '/', '_', '-', '2', 'F', ' '}), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := odd.Draw(t, "a"), odd.Draw(t, "b")
		for _, name := range []string{checkpointStream(a), journalStream(a)} {
			if !validAsset(name) {
				t.Fatalf("bridge %q: %q is no name of a stream", a, name)
			}
		}
		if a != b && (checkpointStream(a) == checkpointStream(b) || journalStream(a) == journalStream(b)) || checkpointStream(a) == journalStream(b) {
			t.Fatalf("bridges %q and %q share a stream", a, b)
		}
		x, y := bridge.Identity{Bridge: a, Relay: b}, bridge.Identity{Bridge: b, Relay: a}
		if x != y && (checkpointSubject(x) == checkpointSubject(y) || ownerSubject(x) == ownerSubject(y) || journalSubject(x, "p") == journalSubject(y, "p")) {
			t.Fatalf("%v and %v share a subject", x, y)
		}
	})
}

var subjectPairs = []struct {
	filter, subject string
	matches         bool
}{
	{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a", false}, {"a", "a.b", false},
	{"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false}, {"*.b", "a.b", true},
	{"a.>", "a.b", true}, {"a.>", "a.b.c", true}, {"a.>", "a", false}, {">", "a", true}, {"*", "a", true}, {"*", "a.b", false},
}

func TestMatches(t *testing.T) {
	for _, p := range subjectPairs {
		if got := matches(p.filter, p.subject); got != p.matches {
			t.Errorf("matches(%q, %q) = %v", p.filter, p.subject, got)
		}
	}
}

// The server's own functions are the model of ours.
func TestSubjectsAgreeWithServer(t *testing.T) {
	token := rapid.SampledFrom([]string{"a", "b", "*"})
	filter := rapid.Custom(func(t *rapid.T) string {
		tokens := rapid.SliceOfN(token, 1, 4).Draw(t, "tokens")
		if rapid.Bool().Draw(t, "open") {
			tokens = append(tokens, ">")
		}
		return strings.Join(tokens, ".")
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := filter.Draw(t, "a"), filter.Draw(t, "b")
		if got, want := overlap(a, b), server.SubjectsCollide(a, b); got != want {
			t.Fatalf("overlap(%q, %q) = %v, the server says %v", a, b, got, want)
		}
		if got, want := covers(a, b), server.SubjectMatchesFilter(b, a); got != want && !strings.ContainsAny(b, "*>") {
			t.Fatalf("covers(%q, %q) = %v, the server says %v", a, b, got, want)
		}
		if covers(a, b) && !overlap(a, b) {
			t.Fatalf("%q covers %q without overlapping it", a, b)
		}
	})
}

func TestReach(t *testing.T) {
	for _, c := range []struct {
		template string
		filters  string
		want     reach
	}{
		{"a.{address}", "a.>", reachAll}, {"a.{address}", ">", reachAll}, {"a.{address}", "b.>", reachNone}, {"a.{address}", "a", reachNone},
		{"a.{address}", "a.*", reachSome}, {"a.{address}", "*.>", reachAll}, {"a.{address}", "a.b.>", reachSome}, {"a.{address}", "b.> a.>", reachAll},
		{"a.b.{key}", "a.>", reachAll}, {"a.b.{key}", "a.*.>", reachAll}, {"a.b.{key}", "a.c.>", reachNone}, {"a.b.{key}", "*.*", reachNone},
		{"{address}", ">", reachAll}, {"{address}", "a.>", reachSome}, {"a.b", "a.b", reachAll}, {"a.b", "a.*", reachAll}, {"a.b", "a.c", reachNone},
		{"a.{key}.z", "a.>", reachAll}, {"a.{key}.z", "a.*.y", reachSome},
	} {
		tm, err := bridge.ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachOf(tm, strings.Fields(c.filters)); got != c.want {
			t.Errorf("reach of %q over %q is %d, want %d", c.template, c.filters, got, c.want)
		}
	}
}
