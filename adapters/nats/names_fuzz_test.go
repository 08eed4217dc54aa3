package nats

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Different values give different subjects, wherever they stand in a template, and
// every subject can be published to and means nothing more.
func FuzzSubjectTemplates(f *testing.F) {
	f.Add("a.b", "a%2Eb", "x", "y")
	f.Add("", "%", ".", "..")
	tpl := testTemplate(f, "t.{key}.{exchange}.{address}")
	f.Fuzz(func(t *testing.T, k1, k2, a1, a2 string) {
		r1, err1 := tpl.Append(nil, &bridge.Message{Key: k1, Address: bridge.Address{Space: a2, Name: a1}}, appendSubject)
		r2, err2 := tpl.Append(nil, &bridge.Message{Key: k2, Address: bridge.Address{Space: a1, Name: a2}}, appendSubject)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if !server.IsValidPublishSubject(string(r1)) || !server.IsValidLiteralSubject(string(r1)) {
			t.Fatalf("%q is no subject to publish to", r1)
		}
		if string(r1) == string(r2) && (k1 != k2 || a1 != a2) {
			t.Fatalf("%q and %q both give %q", []string{k1, a2, a1}, []string{k2, a1, a2}, r1)
		}
	})
}

// The names of the bridge's own things are different for different bridges and relays,
// and are legal.
func FuzzOwnNames(f *testing.F) {
	f.Add("a", "b", "a.b", "")
	f.Add("a/b", "%2F", "a%2Fb", "/")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		if !validAsset(checkpointStream(a)) || !validAsset(journalStream(a)) {
			t.Fatalf("bridge %q: %q or %q is no name of a stream", a, checkpointStream(a), journalStream(a))
		}
		if a != c && (checkpointStream(a) == checkpointStream(c) || journalStream(a) == journalStream(c)) {
			t.Fatalf("bridges %q and %q share a stream", a, c)
		}
		x, y := bridge.Identity{Bridge: a, Relay: b}, bridge.Identity{Bridge: c, Relay: d}
		if x != y && (checkpointSubject(x) == checkpointSubject(y) || ownerSubject(x) == ownerSubject(y) || journalSubject(x, "p") == journalSubject(y, "p")) {
			t.Fatalf("%v and %v share a subject", x, y)
		}
		for _, s := range []string{checkpointSubject(x), ownerSubject(x), journalSubject(x, c)} {
			if !server.IsValidLiteralSubject(s) {
				t.Fatalf("%v: %q is no subject", x, s)
			}
		}
	})
}
