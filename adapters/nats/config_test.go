package nats

import (
	"fmt"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

func TestWrongSettings(t *testing.T) {
	system, err := Adapter().System("plant", decoded(SystemConfig{URL: "nats://127.0.0.1:1"}))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		settings any
		words    string
	}{
		{SystemConfig{}, "where is the server"},
		{SystemConfig{URLs: []string{"a", "b,c"}}, "one address each"},
		{SystemConfig{URL: "nats://"}, "is not an address"},
		{SystemConfig{URL: "x", User: "u", Token: "t"}, "choose one"},
		{SystemConfig{URL: "x", Password: "p"}, "wants a user"},
		{SystemConfig{URL: "x", TLS: &TLSConfig{Cert: "c"}}, "go together"},
		{SystemConfig{URL: "x", ConnectTimeout: -1}, "not negative"},
		{SourceConfig{}, "which JetStream stream"},
		{SourceConfig{Stream: "a.b"}, "not a stream's name"},
		{SourceConfig{Stream: "A", Core: true}, "choose one"},
		{SourceConfig{Core: true}, "needs at least one"},
		{SourceConfig{Stream: "A", Start: bridge.Start{Kind: bridge.StartOffset}}, "has the number 1"},
		{SourceConfig{Stream: "A", Accept: bridge.Accepts{"anything"}}, "is not one of consumers, recreated"},
		{SourceConfig{Core: true, Subjects: []string{"a"}, Accept: bridge.Accepts{"recreated"}}, "nothing to accept"},
		{SourceConfig{Stream: "A", Subjects: []string{"a..b"}}, "empty token"},
		{SourceConfig{Stream: "A", Subjects: []string{"a.>.b"}}, "last token"},
		{SourceConfig{Stream: "A", Subjects: []string{"a b"}}, "white space"},
		{SourceConfig{Core: true, Subjects: []string{"a.*", "a.b"}}, "overlap"},
		{SourceConfig{Stream: "A", MaxPending: -1}, "not negative"},
		{SinkConfig{Subject: "x"}, "which JetStream stream"},
		{SinkConfig{Stream: "B"}, "wants a template"},
		{SinkConfig{Stream: "B", Subject: "x.{nope}"}, "unknown placeholder"},
		{SinkConfig{Stream: "B", Subject: "x.*.{key}"}, "wildcards"},
		{SinkConfig{Stream: "B", Subject: "x..{key}"}, "empty token"},
		{SinkConfig{Stream: "B", Subject: "x y"}, "white space"},
		{SinkConfig{Core: true, Stream: "B", Subject: "x"}, "choose one"},
		{SinkConfig{Core: true, Shared: true, Subject: "x"}, "about streams"},
		{SinkConfig{Stream: "B", Subject: "x", Window: -1}, "not negative"},
		{SinkConfig{Stream: "B", Subject: "x", Accept: bridge.Accepts{"consumers"}}, "is not one of recreated"},
	} {
		switch s := c.settings.(type) {
		case SystemConfig:
			_, err = Adapter().System("plant", decoded(s))
		case SourceConfig:
			_, err = system.Source(testIdentity, decoded(s))
		case SinkConfig:
			_, err = system.Sink(testIdentity, decoded(s))
		}
		if err == nil || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "nats: ") {
			t.Errorf("case %d: %v, want %q in it", i, err, c.words)
		}
	}
}

func TestSecretsStayHidden(t *testing.T) {
	for _, u := range []string{"nats://bob:hunter2@127.0.0.1:1", "bob:hunter2@host:1", "nats://hunter2@127.0.0.1:1", "nats://a:hunter2@[::1:1", "nats://a:hunter2%zz@h:1"} {
		sys, err := Adapter().System("plant", decoded(SystemConfig{URL: u}))
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Error(err)
			}
			continue
		}
		o, err := sys.Source(testIdentity, decoded(SourceConfig{Stream: "A"}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.Open(t.Context())
		if err == nil {
			t.Fatal("opened")
		}
		all := fmt.Sprint(err, o.(bridge.Checker).Check(t.Context()))
		if strings.Contains(all, "hunter2") {
			t.Errorf("%s", all)
		}
	}
}

func TestTraitsAndWords(t *testing.T) {
	sys, err := Adapter().System("plant", decoded(SystemConfig{URL: "nats://127.0.0.1:1"}))
	if err != nil {
		t.Fatal(err)
	}
	source := func(c SourceConfig) bridge.SourceOpener {
		o, err := sys.Source(testIdentity, decoded(c))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	sink := func(c SinkConfig) bridge.SinkOpener {
		o, err := sys.Sink(testIdentity, decoded(c))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	core := source(SourceConfig{Core: true, Subjects: []string{"a.>"}}).Traits()
	if core.Durable || core.Replayable || core.SourceTime || !core.Ordered || len(core.Notes) == 0 {
		t.Errorf("core source %+v", core)
	}
	js := source(SourceConfig{Stream: "A"}).Traits()
	if !js.Durable || !js.Replayable || !js.SourceTime || !js.Ordered || !js.Journals || js.Competing {
		t.Errorf("stream source %+v", js)
	}
	if tr := sink(SinkConfig{Core: true, Subject: "a"}).Traits(); tr.Durable || tr.Fence != bridge.FenceNone || tr.Recall != 0 {
		t.Errorf("core sink %+v", tr)
	}
	if tr := sink(SinkConfig{Stream: "B", Subject: "a"}).Traits(); !tr.Durable || tr.Fence != bridge.FenceExpect || tr.Survives != bridge.SurvivesPrefix || tr.Recall != maxRecall || tr.Lanes != 1 {
		t.Errorf("stream sink %+v", tr)
	}
	if got := source(SourceConfig{Stream: "A"}).Describe() + ", " + sink(SinkConfig{Stream: "B", Subject: "a"}).Describe(); got != "stream A, stream B" {
		t.Error(got)
	}
}
