package nats

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

func surveyed(t *testing.T, s *system, asked ...bridge.Object) bridge.Topology {
	t.Helper()
	found, err := s.Survey(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func objectOf(t *testing.T, found bridge.Topology, role bridge.Role, name string) bridge.Object {
	t.Helper()
	i := slices.IndexFunc(found.Objects, func(o bridge.Object) bool { return o.Role == role && o.Name == name })
	if i < 0 {
		t.Fatalf("no %s in %+v", name, found.Objects)
	}
	return found.Objects[i]
}

// words are settings in short.
func words(o bridge.Object) string {
	var out []string
	for _, s := range o.Settings {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

// A survey says what is not as every stream and consumer is by itself, and which
// streams cannot be tapped; what relays made is marked.
func TestSurvey(t *testing.T) {
	s := startServer(t, nil)
	_, js := s.client(t)
	for _, c := range []jetstream.StreamConfig{
		{Name: "PLAIN", Subjects: []string{"plain.>", "also"}},
		{Name: "LIMITED", Subjects: []string{"l.*"}, MaxAge: time.Hour, MaxMsgs: 5, MaxBytes: 6, MaxMsgsPerSubject: 7, MaxMsgSize: 8, Discard: jetstream.DiscardNew, Storage: jetstream.MemoryStorage, Duplicates: time.Second, Compression: jetstream.NoCompression},
		{Name: "WORK", Subjects: []string{"w"}, Retention: jetstream.WorkQueuePolicy},
		{Name: "FULL", Subjects: []string{"f"}, MaxConsumers: 3},
		{Name: "MIRROR", Mirror: &jetstream.StreamSource{Name: "PLAIN"}},
		{Name: "OURS", Subjects: []string{"o"}, Metadata: ownMetadata(testIdentity, purposeJournal)},
	} {
		if _, err := js.CreateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]jetstream.ConsumerConfig{
		"usual": {}, "odd": {FilterSubjects: []string{"also", "plain.a.>"}, AckWait: time.Minute, MaxDeliver: 3, MaxAckPending: 7, InactiveThreshold: time.Hour, DeliverPolicy: jetstream.DeliverNewPolicy, HeadersOnly: true},
	} {
		c.Durable, c.AckPolicy = name, jetstream.AckExplicitPolicy
		if _, err := js.CreateConsumer(t.Context(), "PLAIN", c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := js.CreateConsumer(t.Context(), "PLAIN", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy}); err != nil {
		t.Fatal(err)
	}
	sys := s.system(t)
	found := surveyed(t, sys)
	if found.Kind != Kind || found.Version == "" || found.Nodes != 1 || !strings.HasPrefix(found.System, "nats server ") || len(found.Blind)+len(found.Unseen) > 0 {
		t.Errorf("it is %+v", found)
	}
	if !slices.IsSortedFunc(found.Objects, func(a, b bridge.Object) int { return a.Compare(&b) }) || len(found.Objects) != 9 {
		t.Errorf("%d objects: %+v", len(found.Objects), found.Objects)
	}
	for name, want := range map[string]string{
		"PLAIN": "duplicate_window", "WORK": "duplicate_window retention", "FULL": "duplicate_window max_consumers", "MIRROR": "mirror",
		"LIMITED": "discard duplicate_window max_age max_bytes max_msg_size max_msgs max_msgs_per_subject storage",
	} {
		if got := words(objectOf(t, found, bridge.RoleLog, name)); got != want {
			t.Errorf("stream %s has %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"PLAIN": "", "LIMITED": "", "WORK": "its retention is work queue", "FULL": "it takes 3 consumers at most"} {
		if got := objectOf(t, found, bridge.RoleLog, name).Refusal; !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("stream %s cannot be tapped: %q, want %q", name, got, want)
		}
	}
	if o := objectOf(t, found, bridge.RoleLog, "OURS"); !o.Own || objectOf(t, found, bridge.RoleLog, "PLAIN").Own {
		t.Error("what is the bridge's own is not told apart")
	}
	if o := objectOf(t, found, bridge.RoleLog, "KV_b"); o.Kind != kindBucket {
		t.Errorf("a bucket is a %s", o.Kind)
	}
	if o := objectOf(t, found, bridge.RoleReader, "usual"); words(o) != "" || len(o.Takes) != 0 || o.From != "PLAIN" {
		t.Errorf("a usual consumer: %+v", o)
	}
	if o := objectOf(t, found, bridge.RoleReader, "odd"); words(o) != "ack_wait deliver_policy headers_only inactive_threshold max_ack_pending max_deliver" || !slices.Equal(o.Takes, []bridge.Pattern{"also", "plain.a.*.#"}) {
		t.Errorf("an odd consumer: %+v", o)
	}
	if asked := surveyed(t, sys, bridge.Object{Role: bridge.RoleLog, Name: "WORK"}); len(asked.Objects) != 7 {
		t.Errorf("asked for another stream, it gives %d objects", len(asked.Objects))
	}
}

// What is made is as it was planned, is found again by a survey, stays as it is
// when it is made again, and is nobody's but the operator's.
func TestProvision(t *testing.T) {
	s := startServer(t, nil)
	_, js := s.client(t)
	sys := s.system(t)
	n := func(m bridge.Meaning, name string, n int64) bridge.Setting {
		return bridge.Setting{Meaning: m, Name: name, Value: n, N: n}
	}
	stream := bridge.Object{Role: bridge.RoleLog, Kind: kindStream, Name: "S", Takes: []bridge.Pattern{"a.*.#", "b"}, Settings: []bridge.Setting{
		{Meaning: bridge.MeaningFull, Name: "discard", Value: "new"}, {Meaning: bridge.MeaningWindow, Name: "duplicate_window", Value: "1m0s", N: int64(time.Minute)},
		{Meaning: bridge.MeaningAge, Name: "max_age", Value: "1h0m0s", N: int64(time.Hour)}, n(bridge.MeaningBytes, "max_bytes", 1<<20), n(bridge.MeaningSize, "max_msg_size", 1<<10), n(bridge.MeaningMessages, "max_msgs", 99),
	}}
	consumer := bridge.Object{Role: bridge.RoleReader, Kind: kindConsumer, Name: "c", From: "S", Takes: []bridge.Pattern{"a.x", "b"}, Settings: []bridge.Setting{
		{Meaning: bridge.MeaningUnacked, Name: "ack_wait", Value: "1m0s", N: int64(time.Minute)}, {Meaning: bridge.MeaningIdle, Name: "inactive_threshold", Value: "2h0m0s", N: int64(2 * time.Hour)},
		n(bridge.MeaningUnacked, "max_ack_pending", 5), n(bridge.MeaningDeliveries, "max_deliver", 4),
	}}
	if err := sys.Provision(t.Context(), []bridge.Object{stream, consumer}); err != nil {
		t.Fatal(err)
	}
	found := surveyed(t, sys)
	for _, want := range []bridge.Object{stream, consumer} {
		if got := objectOf(t, found, want.Role, want.Name); !slices.Equal(got.Settings, want.Settings) || !slices.Equal(got.Takes, want.Takes) {
			t.Errorf("made is\n%+v, planned\n%+v", got, want)
		}
	}
	if _, err := js.Publish(t.Context(), "a.x", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	changed := stream
	changed.Takes, changed.Settings = []bridge.Pattern{"z"}, nil
	if err := sys.Provision(t.Context(), []bridge.Object{changed, consumer}); err != nil {
		t.Errorf("a second time: %v", err)
	}
	again := surveyed(t, sys)
	if got := objectOf(t, again, bridge.RoleLog, "S"); !slices.Equal(got.Takes, stream.Takes) {
		t.Errorf("what was there was changed: %+v", got)
	}
	if st, err := js.Stream(t.Context(), "S"); err != nil || st.CachedInfo().State.Msgs != 1 {
		t.Errorf("its message is gone: %v", err)
	}
	if held, err := sys.Holdings(t.Context(), testIdentity.Bridge); err != nil || len(held) != 0 {
		t.Errorf("it counts as the bridge's own: %+v, %v", held, err)
	}
	for name, o := range map[string]bridge.Object{
		"a subject":        {Role: bridge.RoleLog, Kind: kindStream, Name: "T", Takes: []bridge.Pattern{"#.x"}},
		"not known":        {Role: bridge.RoleLog, Kind: kindStream, Name: "T", Takes: []bridge.Pattern{"t"}, Settings: []bridge.Setting{{Name: "x-odd"}}},
		"overlap":          {Role: bridge.RoleLog, Kind: kindStream, Name: "T", Takes: []bridge.Pattern{"a.*.#"}},
		"no quorum queue":  {Role: bridge.RoleQueue, Kind: "quorum queue", Name: "q"},
		"stream not found": {Role: bridge.RoleReader, Kind: kindConsumer, Name: "c", From: "NONE"},
	} {
		want := strings.TrimPrefix(strings.TrimPrefix(name, "a "), "no ")
		if err := sys.Provision(t.Context(), []bridge.Object{o}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without JetStream a survey is an error, not an empty one.
func TestSurveyWithoutJetStream(t *testing.T) {
	s := startServer(t, func(o *server.Options) { o.JetStream = false })
	if found, err := s.system(t).Survey(t.Context(), nil); err == nil {
		t.Errorf("it found %+v", found)
	}
}
