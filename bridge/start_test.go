package bridge

import (
	"strings"
	"testing"
	"time"
)

func TestStartIsReadAndWritten(t *testing.T) {
	at := time.Date(2026, 1, 31, 14, 0, 0, 5, time.UTC)
	origin := Origin{Stream: &Stream{System: "nats", Cluster: "c/1", Name: "A", Incarnation: "x", Replayable: true}, Offset: 7}
	for text, want := range map[string]Start{
		"": {}, "now": {Kind: StartNow}, "first": {Kind: StartFirst}, "12": {Kind: StartOffset, Offset: 12},
		at.Format(time.RFC3339Nano): {Kind: StartTime, Time: at},
	} {
		var got Start
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %+v, %q, %v", text, got, got.String(), err)
		}
	}
	var got Start
	if err := got.UnmarshalText([]byte(origin.String())); err != nil || got.Kind != StartOrigin || *got.Stream != *origin.Stream || got.Offset != 7 || got.String() != origin.String() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"yesterday", "-1", "2026-01-31", "a/b", strings.Replace(origin.String(), "/0/7", "/0/7?", 1)} {
		if err := new(Start).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: accepted", text)
		}
	}
}

func TestAcceptedWordsAreKnown(t *testing.T) {
	known := map[string]string{"lossy": "loses something", "slow": "takes long"}
	if err := (Accepts{"lossy"}).Validate(known); err != nil {
		t.Error(err)
	}
	if err := (Accepts{"lossy", "lassy"}).Validate(known); err == nil || !strings.Contains(err.Error(), "lossy, slow") {
		t.Errorf("%v", err)
	}
	if (Accepts{"lossy"}).Has("slow") || !(Accepts{"lossy"}).Has("lossy") {
		t.Error("Has")
	}
}

func TestSitesOfOneRelay(t *testing.T) {
	was := Site{System: "s", Names: []string{"exchange a", "exchange b"}}
	if err := SiteError("r", "source", was, Site{System: "s", Names: []string{"exchange b", "exchange c"}, Incarnation: "2"}); err != nil {
		t.Error(err)
	}
	for _, is := range []Site{{System: "other", Names: was.Names}, {System: "s", Names: []string{"exchange c"}}} {
		err := SiteError("r", "source", was, is)
		if ClassOf(err) != Stopping || !strings.Contains(err.Error(), was.String()) || !strings.Contains(err.Error(), is.String()) || !strings.Contains(HintOf(err), "remove r") {
			t.Errorf("%v: %v", is, err)
		}
	}
}
