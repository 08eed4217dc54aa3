package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// A topology is what there is at a broker, by kind and name, with all that can be
// said of it that does not change by itself.
type topology map[string]string

// difference lists what one has and the other has not, or has otherwise; empty
// where they are the same.
func (before topology) difference(after topology) string {
	var b strings.Builder
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before[name]
		is, has := after[name]
		switch {
		case !has:
			fmt.Fprintf(&b, "- %s %s\n", name, was)
		case !had:
			fmt.Fprintf(&b, "+ %s %s\n", name, is)
		case was != is:
			fmt.Fprintf(&b, "- %s %s\n+ %s %s\n", name, was, name, is)
		}
	}
	return b.String()
}

// rabbitLists are what rabbitmqctl lists, with the columns that make a name and
// those that describe it.
var rabbitLists = []struct {
	what        string
	names, more []string
}{
	{"exchange", []string{"name"}, []string{"type", "durable", "auto_delete", "internal", "arguments"}},
	{"queue", []string{"name"}, []string{"durable", "auto_delete", "exclusive", "arguments"}},
	{"binding", []string{"source_name", "destination_kind", "destination_name", "routing_key", "arguments"}, nil},
}

// topologyOf asks a private RabbitMQ for its exchanges, queues and bindings.
func topologyOf(t testing.TB, s *brokers.Server) topology {
	t.Helper()
	found := topology{}
	for _, l := range rabbitLists {
		args := append(append([]string{"list_" + l.what + "s", "--formatter", "json"}, l.names...), l.more...)
		out, err := s.Ctl(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		var rows []map[string]any
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatalf("%s: %v: %.200s", l.what, err, out)
		}
		for _, row := range rows {
			found[l.what+" "+columns(row, l.names)] = columns(row, l.more)
		}
	}
	return found
}

func columns(row map[string]any, names []string) string {
	var parts []string
	for _, n := range names {
		v, _ := json.Marshal(row[n]) // maps come out sorted
		parts = append(parts, n+"="+string(v))
	}
	return strings.Join(parts, " ")
}

// topologyOfNATS asks a server for its streams and their consumers.
func topologyOfNATS(t testing.TB, url string) topology {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	found := topology{}
	streams := js.ListStreams(ctx)
	for s := range streams.Info() {
		config, _ := json.Marshal(s.Config)
		found["stream "+s.Config.Name] = string(config)
		handle, err := js.Stream(ctx, s.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := handle.ListConsumers(ctx)
		for c := range consumers.Info() {
			config, _ := json.Marshal(c.Config)
			found["consumer "+s.Config.Name+" "+c.Name] = string(config)
		}
		if err := consumers.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// What the topology shows is what changes: a tool that sees nothing would call
// everything unchanged.
func TestTopologySeesChanges(t *testing.T) {
	a := topology{"queue a": "durable=true", "queue b": "durable=true"}
	for want, b := range map[string]topology{
		"":                                      {"queue a": "durable=true", "queue b": "durable=true"},
		"- queue b durable=true\n":              {"queue a": "durable=true"},
		"+ stream c x\n":                        {"queue a": "durable=true", "queue b": "durable=true", "stream c": "x"},
		"- queue b durable=true\n+ queue b q\n": {"queue a": "durable=true", "queue b": "q"},
	} {
		if got := a.difference(b); got != want {
			t.Errorf("difference %q, want %q", got, want)
		}
	}
}
