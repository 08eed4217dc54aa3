package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// inventoryOf is all that an account holds: streams, which key-value buckets are
// too, with their settings and state, and consumers with theirs.
func inventoryOf(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	var all []string
	var wrong error
	add := func(what string, values ...any) {
		text, err := json.Marshal(values)
		wrong = errors.Join(wrong, err)
		all = append(all, what+"\t"+string(text))
	}
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		add("stream "+info.Config.Name, info.Config, info.Created, info.State)
		s, err := js.Stream(ctx, info.Config.Name)
		if err != nil {
			return nil, err
		}
		consumers := s.ListConsumers(ctx)
		for c := range consumers.Info() {
			add("consumer "+c.Stream+" "+c.Name, c.Config, c.Created, c.Delivered, c.AckFloor, c.NumAckPending, c.NumPending, c.NumRedelivered)
		}
		wrong = errors.Join(wrong, consumers.Err())
	}
	slices.Sort(all)
	return all, errors.Join(wrong, streams.Err())
}

func inventory(t *testing.T, js jetstream.JetStream) []string {
	t.Helper()
	all, err := inventoryOf(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// difference is what one inventory has and the other has not.
func difference(was, is []string) string {
	var diff []string
	for _, x := range was {
		if !slices.Contains(is, x) {
			diff = append(diff, "- "+x)
		}
	}
	for _, x := range is {
		if !slices.Contains(was, x) {
			diff = append(diff, "+ "+x)
		}
	}
	return strings.Join(diff, "\n")
}

func keeperOf(s *system) bridge.Keeper { return s }

func holdings(t *testing.T, s *system, of string) []bridge.Holding {
	t.Helper()
	hs, err := keeperOf(s).Holdings(t.Context(), of)
	if err != nil {
		t.Fatalf("holdings: %v", err)
	}
	return hs
}

// names are the holdings without the names that the server makes up.
func names(hs []bridge.Holding) string {
	var all []string
	for _, h := range hs {
		name, _, _ := strings.Cut(h.Name, " > ")
		all = append(all, fmt.Sprintf("%s|%s|%s|%s", h.Relay, h.Kind, name, h.Text))
	}
	return strings.Join(all, "\n")
}

func record(t *testing.T, o bridge.SourceOpener, purpose string, n int) {
	t.Helper()
	j, err := o.(bridge.JournalOpener).OpenJournal(t.Context(), purpose)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i := range n {
		if err := j.Append(t.Context(), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
}

// After its last relay has been removed, all is as it was before the bridge came:
// streams, consumers, buckets, their settings and states.
func TestRemoveLeavesNothing(t *testing.T) {
	srv := startServer(t, nil)
	_, js := srv.client(t)
	ctx := t.Context()
	app := makeStream(t, js, jetstream.StreamConfig{Name: "APP", Subjects: []string{"app.>"}})
	makeStream(t, js, jetstream.StreamConfig{Name: "TO", Subjects: []string{"to.>"}})
	makeStream(t, js, jetstream.StreamConfig{Name: "CROSSFADE_looks", Subjects: []string{"looks.>"}})
	if _, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "crossfade"}); err != nil {
		t.Fatal(err)
	}
	c, err := app.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "app", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, js, "app.x", upTo(20)...)
	if m, err := c.Next(); err != nil || m.DoubleAck(ctx) != nil {
		t.Fatal(err)
	}
	was := inventory(t, js)
	keeper := srv.system(t)
	for _, of := range []string{"plant", "plant.b", "looks"} {
		if hs := holdings(t, keeper, of); len(hs) != 0 {
			t.Errorf("bridge %s made %v before it came", of, hs)
		}
	}

	open := func(of, relay string) (*system, *source) {
		sys := srv.system(t)
		id := bridge.Identity{Bridge: of, Relay: relay}
		o, err := sys.Source(id, decoded(SourceConfig{Stream: "APP"}))
		if err != nil {
			t.Fatal(err)
		}
		s := openSource(t, o)
		ackAll(t, s, take(t, s, 5)...)
		ackAll(t, s, take(t, s, 5)...)
		record(t, o, "parked", 3)
		return sys, s
	}
	sys1, _ := open("plant", "one.relay/x")
	_, two := open("plant", "two")
	_, other := open("plant.b", "one.relay/x")
	// What a recall leaves if the bridge dies over it.
	sink, err := sys1.Sink(bridge.Identity{Bridge: "plant", Relay: "one.relay/x"}, decoded(SinkConfig{Stream: "TO", Subject: "to.{address}"}))
	if err != nil {
		t.Fatal(err)
	}
	l, err := openSink(t, sink).Open(ctx, 0, func(int, []bridge.Placement, error) {})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.(*lane).conn.openReader(ctx, readerConfig{stream: "TO", maxPending: 10, metadata: ownMetadata(bridge.Identity{Bridge: "plant", Relay: "one.relay/x"}, purposeRecall)}); err != nil {
		t.Fatal(err)
	}

	want := strings.Join([]string{
		"one.relay/x|consumer|APP|tap, goes by itself when nobody reads",
		"one.relay/x|consumer|TO|recall, goes by itself when nobody reads",
		"one.relay/x|records|CROSSFADE-JOURNAL_plant crossfade.plant.journal.one%2Erelay/x.parked|3 parked journal records",
		"one.relay/x|records|CROSSFADE_plant crossfade.plant.checkpoint.one%2Erelay/x|3 checkpoint records",
		"two|consumer|APP|tap, goes by itself when nobody reads",
		"two|records|CROSSFADE-JOURNAL_plant crossfade.plant.journal.two.parked|3 parked journal records",
		"two|records|CROSSFADE_plant crossfade.plant.checkpoint.two|3 checkpoint records",
		"|stream|CROSSFADE-JOURNAL_plant|6 journal records",
		"|stream|CROSSFADE_plant|6 checkpoint records",
	}, "\n")
	if got := names(holdings(t, keeper, "plant")); got != want {
		t.Errorf("holdings\n%s\nwant\n%s", got, want)
	}
	if hs := holdings(t, keeper, "plant.b"); len(hs) != 5 {
		t.Errorf("the other bridge has %v", hs)
	}

	// A running relay is refused, the dead one goes, twice.
	fatal(t, keeper.Remove(ctx, "plant", "two"), "plant/two", "process", "Stop")
	fatal(t, keeper.Remove(ctx, "plant", ""), "one.relay/x, two")
	if err := two.Hold(ctx); err != nil {
		t.Errorf("a refused removal has hurt: %v", err)
	}
	sys1.kill()
	for range 2 {
		if err := keeper.Remove(ctx, "plant", "one.relay/x"); err != nil {
			t.Fatalf("remove: %v", err)
		}
		if got := names(holdings(t, keeper, "plant")); got != strings.Join([]string{
			"two|consumer|APP|tap, goes by itself when nobody reads",
			"two|records|CROSSFADE-JOURNAL_plant crossfade.plant.journal.two.parked|3 parked journal records",
			"two|records|CROSSFADE_plant crossfade.plant.checkpoint.two|4 checkpoint records",
			"|stream|CROSSFADE-JOURNAL_plant|3 journal records",
			"|stream|CROSSFADE_plant|4 checkpoint records",
		}, "\n") {
			t.Errorf("after the removal of one:\n%s", got)
		}
	}
	two.Close()
	if err := keeper.Remove(ctx, "plant", "two"); err != nil {
		t.Fatal(err)
	}
	// What is in a shared stream and not the bridge's is not deleted with it.
	publish(t, js, "crossfade.plant.journal.not.a.record", 1)
	fatal(t, keeper.Remove(ctx, "plant", ""), "1 messages that are not the bridge's", "nats stream view")
	if err := purge(t, js, journalStream("plant")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := keeper.Remove(ctx, "plant", ""); err != nil {
			t.Fatal(err)
		}
	}
	other.Close()
	if err := keeper.Remove(ctx, "plant.b", "one.relay/x"); err != nil {
		t.Fatal(err)
	}
	if err := keeper.Remove(ctx, "plant.b", ""); err != nil {
		t.Fatal(err)
	}
	if diff := difference(was, inventory(t, js)); diff != "" {
		t.Errorf("the bridge has left something behind or changed something:\n%s", diff)
	}
}

// A process that is there and says nothing may be stopped and go on later.
func TestRemoveIsRefusedBesideASilentProcess(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", 1)
	openSource(t, o).Close()
	nc, _ := srv.client(t)
	if _, err := nc.SubscribeSync(ownerSubject(testIdentity)); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	keeper := srv.system(t)
	fatal(t, keeper.Remove(t.Context(), testIdentity.Bridge, testIdentity.Relay), "does not answer")
	if len(holdings(t, keeper, testIdentity.Bridge)) != 2 {
		t.Error("something was removed")
	}
	nc.Close()
	eventually(t, "removed once the process is gone", func() bool {
		return keeper.Remove(context.Background(), testIdentity.Bridge, testIdentity.Relay) == nil
	})
}

// A session that ends over the question has gone, and nobody runs the relay.
func TestRemoveBesideAProcessThatEnds(t *testing.T) {
	o, js, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	publish(t, js, "a.x", 1)
	openSource(t, o).Close()
	nc, _ := srv.client(t)
	if _, err := nc.Subscribe(ownerSubject(testIdentity), func(*nats.Msg) { nc.Close() }); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := srv.system(t).Remove(t.Context(), testIdentity.Bridge, testIdentity.Relay); err != nil {
		t.Error(err)
	}
}

// Nothing can have been made where there is no JetStream.
func TestHoldingsWithoutJetStream(t *testing.T) {
	srv := startServer(t, func(o *server.Options) { o.JetStream = false })
	if hs := holdings(t, srv.system(t), "plant"); len(hs) != 0 {
		t.Errorf("found %v", hs)
	}
}

// While a relay is being removed, a process that starts it stands by.
func TestRemovalAnswersForTheRelay(t *testing.T) {
	o, _, srv := tapOf(t, SourceConfig{}, jetstream.StreamConfig{})
	conn, err := srv.system(t).connect(t.Context(), "removal")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.unowned(t.Context(), testIdentity); err != nil {
		t.Fatal(err)
	}
	if s, err := o.Open(t.Context()); err == nil {
		s.Close()
		t.Error("the relay starts while it is being removed")
	} else if !strings.Contains(err.Error(), "standing by") {
		t.Errorf("open: %v", err)
	}
	conn.Close()
	openSource(t, o)
}
