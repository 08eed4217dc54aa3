package main

import (
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

func TestWhatTheLedgerWritesIsASample(t *testing.T) {
	plan := ledger.NewPlan(ledger.Load{Seed: 1, Messages: 500, Keys: ledger.Keys100, Carries: ledger.CarriesOctets, Topic: "t", Partitions: 3})
	for n := 1; n <= plan.Messages; n++ {
		body := plan.Body(n)
		x, ok := decode(message{ID: plan.ID(n), Body: body})
		if ok != (len(body) > 0) {
			t.Fatalf("%q is a sample: %t", body, ok)
		}
		if ok && (x.Metric != plan.Name(n) || x.Seq < 1 || x.At.Year() != 2030 || x.ID != plan.ID(n)) {
			t.Fatalf("%q is %+v", body, x)
		}
	}
}

func TestWhatIsNoSample(t *testing.T) {
	const good = `{"key":"cpu","seq":1,"value":2.5,"at":"2030-01-01T00:00:00.001Z"}`
	if _, ok := decode(message{Body: []byte(good)}); !ok {
		t.Fatal("a sample is none")
	}
	for _, body := range []string{
		"", "null", "7", `"cpu"`, "[]", "{}", good[:20], good + good,
		strings.Replace(good, `"cpu"`, `""`, 1), strings.Replace(good, "cpu", strings.Repeat("cpu", 100), 1),
		strings.Replace(good, "1", "null", 1), strings.Replace(good, "1", "1.5", 1),
		strings.Replace(good, "2.5", "null", 1), strings.Replace(good, "2.5", "1e201", 1), strings.Replace(good, "2.5", "1e999", 1),
		strings.Replace(good, "2030-01-01T", "", 1), strings.Replace(good, `"at"`, `"when"`, 1),
	} {
		if x, ok := decode(message{Body: []byte(body)}); ok {
			t.Errorf("%s is %+v", body, x)
		}
	}
}

// A producer's ID is the same behind a relay, whatever octets it has.
func TestProducerID(t *testing.T) {
	for _, id := range []string{"018f6c2d", "a b", " ~%41~ ", "ü\xff", "a+b/c?d"} {
		for _, scope := range []bridge.Scope{bridge.ScopeKey, bridge.ScopeGlobal} {
			text := bridge.ID{Value: id, Scope: scope}.Text("host~1.cpu %")
			if got := producerID(text, "the system's own", ""); got != id {
				t.Errorf("producerID(%q) = %q, want %q", text, got, id)
			}
		}
		if got := producerID("", id, "another"); got != id {
			t.Errorf("producerID(%q) = %q", id, got)
		}
	}
	for text, want := range map[string]string{
		bridge.ID{Value: "1234-0-7", From: bridge.FromOrigin}.Text("cpu"): "1234-0-7",
		bridge.ID{Value: "1234", From: bridge.FromContent}.Text("cpu"):    "", // of several messages
		"kp~half": "kp~half", "kp~a~%4": "kp~a~%4", "xp~a~b": "xp~a~b", "~~": "~~",
	} {
		if got := producerID(text, "another"); got != want {
			t.Errorf("producerID(%q) = %q, want %q", text, got, want)
		}
	}
	if got := producerID("", "", "third"); got != "third" {
		t.Errorf("the ID of a header is %q", got)
	}
}
