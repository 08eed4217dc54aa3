package nats

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

func TestLifeOf(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1h": time.Hour, "1500ms": time.Second, "90": 90 * time.Second, "never": 0, "999ms": 0, "0": 0, "-1": 0, "-1h": 0, "": 0, "soon": 0,
		"9223372036": 9223372036 * time.Second, "9223372037": 0, "99999999999999999999": 0,
	} {
		if got := lifeOf(nats.Header{headerTTL: {text}}); got != want {
			t.Errorf("%q lives %v, want %v", text, got, want)
		}
	}
	if got := lifeOf(nats.Header{}); got != 0 {
		t.Errorf("without the header: %v", got)
	}
}

// A message that a stream will drop is given until then; where the stream does not
// allow it the header says nothing. What a relay wrote has said it already.
func TestMessagesOfAStreamExpire(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		s := startServer(t, nil)
		_, js := s.client(t)
		const name = "S"
		makeStream(t, js, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, AllowMsgTTL: allowed})
		before := time.Now()
		for _, h := range []nats.Header{{headerTTL: {"1h"}}, {headerTTL: {"never"}}, {"a": {"b"}}, {headerTTL: {"1h"}, bridge.HopRelay: {"b/r"}}} {
			if !allowed {
				delete(h, headerTTL) // it would be refused
			}
			if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: name + ".x", Header: h, Data: []byte("b")}); err != nil {
				t.Fatal(err)
			}
		}
		source, err := s.system(t).from(t, SourceConfig{Stream: name}).Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]bridge.Delivery, 0, 4)
		for len(got) < 4 {
			into := make([]bridge.Delivery, 4-len(got))
			n, err := source.Receive(t.Context(), into)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, into[:n]...)
		}
		for i, d := range got {
			if want := allowed && i == 0; d.Expires.IsZero() == want || want && (d.Expires.Before(before.Add(time.Hour)) || d.Expires.After(time.Now().Add(time.Hour))) {
				t.Errorf("allowed %v, message %d expires at %v", allowed, i, d.Expires)
			}
		}
		source.Close()
	}
}
