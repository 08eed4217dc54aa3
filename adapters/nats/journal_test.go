package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A journal outlives its connection: what parks a message may be older than the
// restart of the server.
func TestJournalConnectsAgain(t *testing.T) {
	o, _, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), "parked")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	records := func() string {
		var all []string
		if err := j.Replay(t.Context(), func(r []byte) error { all = append(all, string(r)); return nil }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	for i := range 3 {
		if err := j.Append(t.Context(), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			srv.restart(t)
			<-j.(*journal).conn.lost
		}
	}
	if got := records(); got != "0 1 2" {
		t.Errorf("records: %s", got)
	}
	largest := bytes.Repeat([]byte{0xff}, j.MaxRecord())
	if err := j.Append(t.Context(), largest); err != nil {
		t.Errorf("the largest record: %v", err)
	}
	if err := j.Append(t.Context(), append(largest, 0)); err == nil {
		t.Error("a record above MaxRecord was taken")
	}
	if got := len(records()); got != len("0 1 2 ")+j.MaxRecord() {
		t.Errorf("%d octets of records", got)
	}
	j.Close()
	if err := j.Append(t.Context(), []byte("x")); !errors.Is(err, bridge.ErrClosed) {
		t.Errorf("append behind Close: %v", err)
	}
	if err := j.Replay(t.Context(), func([]byte) error { return nil }); !errors.Is(err, bridge.ErrClosed) {
		t.Errorf("replay behind Close: %v", err)
	}
}

// Replay ends with the error of each, and with what was there when it began.
func TestReplayEnds(t *testing.T) {
	o, _, _ := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), "parked")
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i := range 5 {
		if err := j.Append(t.Context(), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	enough, seen := errors.New("enough"), 0
	err = j.Replay(t.Context(), func([]byte) error {
		if seen++; seen == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || seen != 2 {
		t.Errorf("replay: %v after %d", err, seen)
	}
	seen = 0
	if err := j.Replay(t.Context(), func([]byte) error { seen++; return j.Append(context.Background(), []byte("more")) }); err != nil || seen != 5 {
		t.Errorf("replay beside appends: %v after %d", err, seen)
	}
}

// The lean reader of answers says what the JSON decoder says, or nothing.
func FuzzPubAck(f *testing.F) {
	for _, s := range []string{
		`{"stream":"B","seq":1}`, `{"stream":"B","seq":18446744073709551615}`, `{"stream":"B","seq":7,"duplicate": true}`, `{"stream":"B","domain":"d","seq":7}`,
		`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"B","seq":0}`, `{"stream":"B"}`, `{}`, ``, `{"stream":"C","seq":1}`,
		`{"stream":"B","seq":1,"duplicate":false}`, `{"stream":"B","domain":",\"seq\":9","seq":7}`, `{"stream":"B","seq":1,"batch":"x"}`, `{"stream":"B","seq":1}x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		lean, ok := leanPubAck(data, "B")
		if !ok {
			return
		}
		var full pubAck
		if err := json.Unmarshal(data, &full); err != nil {
			// Within a domain's name anything may stand that the server never writes.
			if bytes.Contains(data, []byte(`"domain":`)) {
				return
			}
			t.Fatalf("%q: read as %+v, is no JSON: %v", data, lean, err)
		}
		if lean.Stream != full.Stream || lean.Seq != full.Seq || lean.Duplicate != full.Duplicate || full.Error != nil {
			t.Fatalf("%q: read as %+v, is %+v", data, lean, full)
		}
	})
}

// The server's own answers take the lean way.
func TestLeanPubAckOfServer(t *testing.T) {
	srv := startServer(t, nil)
	nc, js := srv.client(t)
	makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
	for i, want := range []pubAck{{Stream: "B", Seq: 1}, {Stream: "B", Seq: 1, Duplicate: true}} {
		m := nats.NewMsg("b.x")
		m.Header.Set("Nats-Msg-Id", "same")
		answer, err := nc.RequestMsgWithContext(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := leanPubAck(answer.Data, "B"); !ok || got != want {
			t.Errorf("answer %d, %s: %+v, %v", i, answer.Data, got, ok)
		}
	}
}
