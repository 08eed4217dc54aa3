package kafka

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

// fatal wants an error that stops the relay, with a hint, and these words.
func isFatal(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil || bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Fatalf("want a Fatal with a hint, got %v", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+" "+bridge.HintOf(err), w) {
			t.Errorf("%q is not in: %v (%s)", w, err, bridge.HintOf(err))
		}
	}
}

// fails receives until the session ends, and gives why.
func fails(t *testing.T, s bridge.Source) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, err := s.Receive(ctx, make([]bridge.Delivery, 16)); err != nil {
			return err
		}
	}
}

func removeTo(t *testing.T, cl *kgo.Client, topic string, to int64) {
	t.Helper()
	var o kadm.Offsets
	o.AddOffset(topic, 0, to, -1)
	res, err := kadm.NewClient(cl).DeleteRecords(t.Context(), o)
	if err != nil || res.Error() != nil {
		t.Fatalf("delete records: %v, %v", err, res.Error())
	}
}

// What retention removed before it was read stops the relay, with what is missing; or it
// is passed over, where that is accepted.
func TestGap(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	cl := c.client(t)
	put(t, cl, "a", 1, 0, 10)
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 10)[:3]...)
	s.Close()
	removeTo(t, cl, "a", 6)
	s = openSource(t, o)
	isFatal(t, fails(t, s), "from offset 3 to 5", "accept: [gaps]", "--reset-offsets")
	s.Close()
	s = openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}, Accept: bridge.Accepts{acceptGaps}}))
	behind := take(t, s, 4)
	if got := bodiesOf(behind); got != "6 7 8 9" || !behind[0].Gap || behind[1].Gap {
		t.Errorf("behind the gap came %s; the first says that there is one: %t", got, behind[0].Gap)
	}
	s.Close()
	// All that was waiting is gone: the floor goes on to the end of the gap.
	removeTo(t, cl, "a", 10)
	s = openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}, Accept: bridge.Accepts{acceptGaps}}))
	put(t, cl, "a", 1, 10, 11)
	ackAll(t, s, take(t, s, 1)...)
	s.Close()
	s = openSource(t, o)
	put(t, cl, "a", 1, 11, 12)
	if got := bodiesOf(take(t, s, 1)); got != "11" {
		t.Errorf("then %s", got)
	}
}

func recreate(t *testing.T, c *testCluster, cl *kgo.Client, topic string, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(cl).DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	c.topic(t, topic, partitions)
}

// A topic that was deleted and made again ends the session, and stops the relay unless
// that is accepted; then it is read from its first record.
func TestRecreatedTopic(t *testing.T) {
	for _, during := range []bool{true, false} {
		c := startCluster(t)
		c.topic(t, "a", 1)
		put(t, c.client(t), "a", 1, 0, 10)
		o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
		accepting := c.system(t).from(t, SourceConfig{Topics: []string{"a"}, Start: bridge.Start{Kind: bridge.StartNow}, Accept: bridge.Accepts{acceptRecreated}})
		s := openSource(t, o)
		ackAll(t, s, take(t, s, 5)...)
		if !during {
			s.Close()
		}
		recreate(t, c, c.client(t), "a", 1)
		put(t, c.client(t), "a", 1, 100, 103)
		if during {
			err := fails(t, s)
			t.Log(err)
			if bridge.ClassOf(err) == bridge.Ended {
				t.Errorf("the session ends with %v", err)
			}
			s.Close()
		}
		_, err := o.Open(t.Context())
		isFatal(t, err, "ID", "accept: [recreated]")
		s = openSource(t, accepting)
		got := take(t, s, 3)
		if bodiesOf(got) != "100 101 102" {
			t.Errorf("got %s", bodiesOf(got))
		}
		ackAll(t, s, got...)
		s.Close()
		s = openSource(t, o) // it has read this life now
		put(t, c.client(t), "a", 1, 103, 104)
		if got := bodiesOf(take(t, s, 1)); got != "103" {
			t.Errorf("then %s", got)
		}
	}
}

// Positions that were deleted, or have expired, are missed: nobody knows any more what
// was copied. An operator may set them.
func TestPositionsAreGone(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t)
	put(t, cl, "a", 2, 0, 10)
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 10)...)
	s.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.DeleteGroup(t.Context(), groupOf(testIdentity)); err != nil {
		t.Fatal(err)
	}
	_, err := o.Open(t.Context())
	isFatal(t, err, "no offset", "crossfade remove")
	var by kadm.Offsets
	by.AddOffset("a", 0, 4, -1)
	by.AddOffset("a", 1, 5, -1)
	if res, err := adm.CommitOffsets(t.Context(), groupOf(testIdentity), by); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	if got := bodiesOf(take(t, openSource(t, o), 1)); got != "8" {
		t.Errorf("from where it was set came %s", got)
	}
}

// Partitions that are added, and topics that begin to match, end the session; the next one
// has all of them, from their first record.
func TestTopicsGrow(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	c.topic(t, "m.a", 1)
	cl := c.client(t)
	put(t, cl, "m.a", 1, 0, 3)
	o := c.system(t).from(t, SourceConfig{Pattern: `m\..*`, Start: bridge.Start{Kind: bridge.StartNow}})
	s := openSource(t, o)
	if _, err := kadm.NewClient(cl).CreatePartitions(t.Context(), 1, "m.a"); err != nil {
		t.Fatal(err)
	}
	if err := c.client(t).ProduceSync(t.Context(), &kgo.Record{Topic: "m.a", Partition: 1, Value: []byte("new")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := fails(t, s); bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "2 partitions") {
		t.Errorf("%v", err)
	}
	s.Close()
	s = openSource(t, o)
	if got := bodiesOf(take(t, s, 1)); got != "new" {
		t.Errorf("of the partition that was added came %s", got)
	}
	c.topic(t, "m.b", 1)
	c.topic(t, "n.b", 1)
	put(t, c.client(t), "m.b", 1, 7, 8)
	if err := fails(t, s); bridge.ClassOf(err) != bridge.Transient || !strings.Contains(err.Error(), "m.b") {
		t.Errorf("%v", err)
	}
	s.Close()
	s = openSource(t, o)
	got := map[string]bool{}
	for _, d := range take(t, s, 2) {
		got[string(d.Body)] = true
	}
	if !got["7"] || !got["new"] {
		t.Errorf("got %v", got)
	}
}

// A compacted topic, whose batches have lost the records at their ends, and all of them,
// is read to its end.
func TestCompactedTopic(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1, "cleanup.policy=compact", "min.cleanable.dirty.ratio=0", "segment.bytes=1024", "max.compaction.lag.ms=1")
	cl := c.client(t)
	var rs []*kgo.Record
	for i := range 60 {
		rs = append(rs, &kgo.Record{Topic: "a", Key: []byte{byte('a' + i%3)}, Value: append([]byte{byte('0' + i%10)}, make([]byte, 100)...)})
		if i%4 == 3 {
			if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			rs = nil
		}
	}
	c.Compact()
	put(t, cl, "a", 1, 60, 61)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	given := markOf(t, s)
	last, n := int64(-1), 0
	for last < 60 {
		for _, d := range take(t, s, 1) {
			if int64(d.Origin.Offset) <= last {
				t.Fatalf("offset %d came behind %d", d.Origin.Offset, last)
			}
			last = int64(d.Origin.Offset)
			n++
		}
	}
	if n >= 61 {
		t.Errorf("nothing was compacted: %d records came", n)
	}
	awaits(t, s, given)
	t.Logf("%d records are left", n)
}

// Where a relay begins that has never run.
func TestStarts(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t)
	at := time.UnixMilli(1_700_000_000_000)
	for i := range 8 { // partition 0 has 0 2 4 6, partition 1 has 1 3 5 7, ten seconds apart
		r := &kgo.Record{Topic: "a", Partition: int32(i % 2), Value: []byte{byte('0' + i)}, Timestamp: at.Add(time.Duration(i) * 10 * time.Second)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	removeTo(t, cl, "a", 1)
	number := 0
	try := func(start bridge.Start) (string, error) {
		t.Helper()
		number++
		o, err := c.system(t).Source(bridge.Identity{Bridge: "b", Relay: string(rune('a' + number))}, decoded(SourceConfig{Topics: []string{"a"}, Start: start}))
		if err != nil {
			return "", err
		}
		s, err := o.Open(t.Context())
		if err != nil {
			return "", err
		}
		defer s.Close()
		first := map[int32]string{}
		for _, p := range s.(*source).parts {
			first[p.partition] = "end"
			if p.floor < 4 {
				first[p.partition] = string(rune('0' + 2*p.floor + int64(p.partition)))
			}
		}
		return first[0] + " " + first[1], nil
	}
	life := take(t, openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}})), 1)[0].Origin.Stream
	other := *life
	other.Incarnation = "ff"
	for _, x := range []struct {
		start bridge.Start
		want  string // empty is a Fatal
	}{
		{bridge.Start{}, "2 1"},
		{bridge.Start{Kind: bridge.StartFirst}, "2 1"},
		{bridge.Start{Kind: bridge.StartNow}, "end end"},
		{bridge.Start{Kind: bridge.StartTime, Time: at.Add(30 * time.Second)}, "4 3"},
		{bridge.Start{Kind: bridge.StartTime, Time: at.Add(30*time.Second + time.Nanosecond)}, "4 5"},
		{bridge.Start{Kind: bridge.StartTime, Time: at.Add(65 * time.Second)}, "end 7"},
		{bridge.Start{Kind: bridge.StartTime, Time: time.Now().Add(time.Hour)}, ""},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: life, Shard: 0, Offset: 3}, "6 1"},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: life, Shard: 1, Offset: 4}, "2 end"},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: life, Shard: 0, Offset: 0}, ""},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: life, Shard: 1, Offset: 5}, ""},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: life, Shard: 2, Offset: 0}, ""},
		{bridge.Start{Kind: bridge.StartOrigin, Stream: &other, Shard: 0, Offset: 3}, ""},
	} {
		got, err := try(x.start)
		if x.want == "" {
			isFatal(t, err)
		} else if got != x.want || err != nil {
			t.Errorf("%s: begins at %q, want %q: %v", x.start, got, x.want, err)
		}
	}
}

// A topic that is made again while it is read, and holds more by then than the one before
// it: its offsets go on, but not a record of it comes as if it were of the other.
func TestRecreatedTopicThatIsLonger(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	put(t, c.client(t), "a", 1, 0, 5)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	ackAll(t, s, take(t, s, 5)...)
	recreate(t, c, c.client(t), "a", 1)
	put(t, c.client(t), "a", 1, 100, 150)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	buf := make([]bridge.Delivery, 4)
	if n, err := s.Receive(ctx, buf); n > 0 || bridge.ClassOf(err) == bridge.Ended {
		t.Errorf("got %s, %v", bodiesOf(buf[:n]), err)
	}
}

// A position whose record the cluster does not hold any more, as its leader epoch says,
// stops the relay, though the offset is within what it holds.
func TestLostHistory(t *testing.T) {
	c := startCluster(t, kfake.NumBrokers(2))
	c.topic(t, "a", 1)
	cl := c.client(t)
	put(t, cl, "a", 1, 0, 10)
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	ackAll(t, s, take(t, s, 5)...)
	s.Close()
	for range 3 { // leaders that change do no harm
		if err := c.MoveTopicPartition("a", 0, int32(1)-c.LeaderFor("a", 0)); err != nil {
			t.Fatal(err)
		}
		s = openSource(t, o)
		ackAll(t, s, take(t, s, 1)...)
		s.Close()
	}
	adm := kadm.NewClient(cl)
	marks, err := adm.FetchOffsets(t.Context(), groupOf(testIdentity))
	if err != nil {
		t.Fatal(err)
	}
	was := marks["a"][0]
	if was.At != 8 || was.LeaderEpoch < 0 {
		t.Fatalf("the group holds %+v", was)
	}
	var by kadm.Offsets
	was.LeaderEpoch += 40
	by.Add(was.Offset)
	if res, err := adm.CommitOffsets(t.Context(), groupOf(testIdentity), by); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	isFatal(t, fails(t, openSource(t, o)), "leader epoch", "--reset-offsets")
}
