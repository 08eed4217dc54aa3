package nats

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// seenAndBack reads a message as a consumer that knows nothing of the bridge does,
// and as the source does.
func seenAndBack(m *nats.Msg) (x adaptertest.Crossing) {
	plain := nats.Header{}
	for name, values := range m.Header {
		if !bridge.IsHop(name) {
			plain[name] = values
		}
	}
	at := position{stream: 7, time: 5}
	decode(&nats.Msg{Subject: m.Subject, Data: m.Data, Header: plain}, at, nil, &x.Seen)
	decode(m, at, nil, &x.Back)
	return x
}

// Each line that is declared is what becomes of samples of its field, on a server.
func TestCarriesAsDeclared(t *testing.T) {
	s := startServer(t, nil)
	_, js := s.client(t)
	stream := makeStream(t, js, jetstream.StreamConfig{Name: "F", Subjects: []string{"t.>"}})
	heard := startEcho(t)
	sys := s.system(t)
	for name, to := range map[string]bridge.SinkOpener{
		"stream": sys.to(t, SinkConfig{Stream: "F", Subject: "t.{key}"}),
		"core":   heardSystem(t, heard).to(t, SinkConfig{Core: true, Subject: "t.{key}"}),
	} {
		t.Run(name, func(t *testing.T) {
			lane := laneOf(t, to)
			cross := func(m *bridge.Message) (x adaptertest.Crossing, err error) {
				if _, err := lane.Send(t.Context(), []*bridge.Message{m}); err != nil {
					return x, err
				}
				var got *nats.Msg
				if name == "core" {
					got, err = heard.sub.NextMsg(5 * time.Second)
				} else {
					got, err = newest(t.Context(), stream)
				}
				if err != nil {
					return x, err
				}
				return seenAndBack(got), nil
			}
			claim := &adaptertest.Claim{
				Carries: to.(bridge.Carrier).Carries(), Gives: given(name == "core"),
				Own:   bridge.Address{Name: "t." + encoded(t, "plant.line-1.temperature", false)},
				Cross: cross,
				Beyond: map[bridge.Field]*bridge.Message{
					bridge.FieldBody:    {Body: make([]byte, 1<<20+1)},
					bridge.FieldAddress: {Key: strings.Repeat("k", 5000)},
				},
			}
			if name == "stream" {
				claim.Beyond[bridge.FieldHeaderText] = &bridge.Message{Headers: []bridge.Header{{Name: "h", Value: []byte(strings.Repeat("v", 1<<16))}}}
			}
			claim.Prove(t)
		})
	}
}

func heardSystem(t *testing.T, e *echo) *system {
	t.Helper()
	sys, err := Adapter().System("heard", decoded(SystemConfig{URL: e.nc.ConnectedUrl()}))
	if err != nil {
		t.Fatal(err)
	}
	return sys.(*system)
}

// laneOf opens the one lane of a sink.
func laneOf(t *testing.T, o bridge.SinkOpener) bridge.Lane {
	t.Helper()
	sink, err := o.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lane, err := sink.Open(t.Context(), 0, func(int, []bridge.Placement, error) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lane.Close(); sink.Close() })
	return lane
}

// newest waits for the message behind the one that it gave before.
func newest(ctx context.Context, s jetstream.Stream) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	before := s.CachedInfo().State.LastSeq
	for {
		info, err := s.Info(ctx)
		if err != nil {
			return nil, err
		}
		if info.State.LastSeq > before {
			raw, err := s.GetMsg(ctx, info.State.LastSeq)
			if err != nil {
				return nil, err
			}
			return &nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data}, nil
		}
	}
}

// What is read of what producers write has the fields that are declared, and every
// field that is declared is among it.
func TestGivesAsDeclared(t *testing.T) {
	for _, core := range []bool{false, true} {
		lines := given(core)
		found := map[bridge.Field]bool{}
		for _, m := range []*nats.Msg{
			{Subject: "s", Reply: "back", Data: []byte("b"), Header: nats.Header{"a": {"1", "2"}, "Nats-Msg-Id": {"7"}, "Nats-TTL": {"1h"}, "\xff": {"é \xfe"}}},
			{Subject: "s"},
		} {
			var got bridge.Delivery
			if core {
				(&coreSource{}).deliver(m, &got)
			} else {
				decode(m, position{stream: 1, time: 5}, nil, &got.Message)
				expire(&got.Message, m.Header, time.Now())
			}
			maps.Copy(found, adaptertest.Found(&got.Message))
		}
		if d := adaptertest.Undeclared(found, lines); d != "" {
			t.Errorf("core %v: %s", core, d)
		}
	}
}
