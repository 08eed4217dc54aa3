package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/bridge"
)

func markOf(t *testing.T, s *source) func() bool {
	t.Helper()
	given, err := s.Mark(t.Context())
	if err != nil {
		t.Fatalf("mark: %v", err)
	}
	return given
}

// awaits receives, where nothing comes, until a mark is given.
func awaits(t *testing.T, s *source, given func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan error, 1)
	go func() {
		_, err := s.Receive(ctx, make([]bridge.Delivery, 4))
		done <- err
	}()
	eventually(t, "the mark is given", given)
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("receive: %v", err)
	}
}

// A mark is given behind what is stored and not for the relay, wherever that is, and
// not before Receive is called.
func TestMarkPassesWhatIsNotForTheRelay(t *testing.T) {
	for name, c := range map[string]struct {
		put         func(t *testing.T, plain, tx *kgo.Client)
		uncommitted bool
		want        int
	}{
		"nothing at all":      {put: func(*testing.T, *kgo.Client, *kgo.Client) {}},
		"one partition alone": {put: func(t *testing.T, plain, _ *kgo.Client) { put(t, plain, "a", 1, 0, 3) }, want: 3},
		"a commit":            {put: func(t *testing.T, _, tx *kgo.Client) { transact(t, tx, kgo.TryCommit, 1, 2) }, want: 2},
		"only what was aborted": {put: func(t *testing.T, _, tx *kgo.Client) {
			transact(t, tx, kgo.TryAbort, -1, -2)
		}},
		"what was aborted, behind the last": {put: func(t *testing.T, plain, tx *kgo.Client) {
			put(t, plain, "a", 2, 0, 4)
			transact(t, tx, kgo.TryAbort, -1, -2)
			transact(t, tx, kgo.TryAbort, -3)
		}, want: 4},
		"what was aborted, which is copied too": {put: func(t *testing.T, _, tx *kgo.Client) {
			transact(t, tx, kgo.TryAbort, -1, -2)
		}, uncommitted: true, want: 2},
	} {
		t.Run(name, func(t *testing.T) {
			k := startCluster(t)
			k.topic(t, "a", 2)
			c.put(t, k.client(t), k.client(t, kgo.TransactionalID("tx")))
			s := openSource(t, k.system(t).from(t, SourceConfig{Topics: []string{"a"}, Uncommitted: c.uncommitted}))
			given := markOf(t, s)
			if given() {
				t.Error("the mark is given before Receive was called")
			}
			if take(t, s, c.want); c.want > 0 && given() {
				t.Error("the mark is given while what came last is in hand")
			}
			awaits(t, s, given)
			if !markOf(t, s)() {
				t.Error("a mark of nothing new is not given at once")
			}
			put(t, k.client(t), "a", 2, 5, 6)
			if markOf(t, s)() {
				t.Error("a mark of what nobody has received is given")
			}
		})
	}
}

// What is confirmed behind the first record of an open transaction is stored, though no
// reader of committed records can have it yet.
func TestMarkWaitsForOpenTransactions(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	tx := c.client(t, kgo.TransactionalID("tx"))
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(t.Context(), &kgo.Record{Topic: "a", Value: []byte("0")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	put(t, c.client(t), "a", 1, 1, 2)
	given := markOf(t, s)
	ctx, stop := context.WithTimeout(t.Context(), 2*fetchWait)
	defer stop()
	if n, err := s.Receive(ctx, make([]bridge.Delivery, 4)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("behind an open transaction came %d, %v", n, err)
	}
	if given() {
		t.Error("the mark is given, and 1 has not come")
	}
	if err := tx.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := bodiesOf(take(t, s, 2)); got != "0 1" {
		t.Errorf("got %s", got)
	}
	awaits(t, s, given)
}

// What earlier sessions have settled counts as given, above their floor too.
func TestMarkCountsWhatWasSettledEarly(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	put(t, c.client(t), "a", 1, 0, 9)
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	got := take(t, s, 9)
	ackAll(t, s, got[:2]...)
	ackAll(t, s, got[4:]...)
	s.Close()
	s = openSource(t, o)
	given := markOf(t, s)
	again := take(t, s, 2)
	if b := bodiesOf(again); b != "2 3" {
		t.Fatalf("got %s", b)
	}
	awaits(t, s, given)
	ackAll(t, s, again...)
	s.Close()
	if _, err := s.Mark(t.Context()); !errors.Is(err, bridge.ErrClosed) {
		t.Errorf("mark of a closed session: %v", err)
	}
	s = openSource(t, o)
	awaits(t, s, markOf(t, s)) // the floor is at the end
}

// A mark is given behind a gap that is accepted, though nothing comes.
func TestMarkPassesWhatIsGone(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	cl := c.client(t)
	put(t, cl, "a", 1, 0, 10)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	ackAll(t, s, take(t, s, 3)...)
	s.Close()
	removeTo(t, cl, "a", 10)
	s = openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}, Accept: bridge.Accepts{acceptGaps}}))
	awaits(t, s, markOf(t, s))
}

// What belongs to the tap and not to the session is not passed over.
func TestMarkOfOtherPartitions(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a1", 1)
	cl := c.client(t)
	o := c.system(t).from(t, SourceConfig{Pattern: "a.*"})
	refused := func(what string, s *source, words string) {
		t.Helper()
		if given, err := s.Mark(t.Context()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("with %s: given %v, %v", what, given != nil, err)
		}
	}
	s := openSource(t, o)
	c.topic(t, "a2", 1)
	put(t, cl, "a2", 1, 0, 1)
	refused("a topic more", s, "it is new")
	s.Close()
	s = openSource(t, o)
	if _, err := kadm.NewClient(cl).CreatePartitions(t.Context(), 1, "a1"); err != nil {
		t.Fatal(err)
	}
	refused("a partition more", s, "2 partitions")
}

// A session that is over notes nothing any more.
func TestMarkOfASessionThatIsOver(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 1)
	put(t, c.client(t), "a", 1, 0, 3)
	s := openSource(t, c.system(t).from(t, SourceConfig{Topics: []string{"a"}}))
	given := markOf(t, s)
	take(t, s, 3)
	why := errors.New("the test has seen enough")
	s.end(why)
	if _, err := s.Receive(t.Context(), make([]bridge.Delivery, 1)); !errors.Is(err, why) {
		t.Errorf("receive: %v", err)
	}
	if given() {
		t.Error("the mark is given by a session that is over")
	}
	if _, err := s.Mark(t.Context()); !errors.Is(err, why) {
		t.Errorf("mark: %v", err)
	}
}
