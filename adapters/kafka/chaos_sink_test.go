package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A carrier sends messages as a relay does: what is of unknown outcome when a session
// ends is recalled by the next one, and sent again if it is not there.
type carrier struct {
	rig     *sinkRig
	rand    *rand.Rand
	pending []*bridge.Message // in order; what was settled is gone
}

// session opens a lane, sends some of what is pending, and ends it in the middle.
func (c *carrier) session(t testing.TB, chunks int, disturb func(i int)) {
	t.Helper()
	s, err := tryOpen(c.rig.sinkOf(t, SinkConfig{Batch: 4000, Window: 500}), 0)
	if err != nil {
		return // the next one tries again
	}
	defer s.end()
	there := map[string]bool{}
	for _, id := range s.recall(t, 0, 1000) {
		there[id] = true
	}
	c.pending = slices.DeleteFunc(c.pending, func(m *bridge.Message) bool { return there[m.ID.Value] })
	sent := 0
	for i := 0; i < chunks && sent < len(c.pending); i++ {
		disturb(i)
		n, err := s.Send(t.Context(), c.pending[sent:min(len(c.pending), sent+1+c.rand.IntN(40))])
		sent += n
		if err != nil {
			break
		}
	}
	if c.rand.IntN(2) == 0 {
		s.await(t, min(sent, 1))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	places, _ := s.state()
	c.pending = c.pending[len(places):]
}

// Whatever happens to leaders, connections and answers, and wherever sessions end,
// each partition holds every message once and in order. // I2 I6
func TestSinkUnderFaults(t *testing.T) {
	runs := 6
	if testing.Short() {
		runs = 2
	}
	for range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { underFaults(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func underFaults(t *testing.T, rnd *rand.Rand) {
	rig := newSinkRig(t, 3)
	msgs := numbered(0, 600, 20)
	c := &carrier{rig: rig, rand: rnd, pending: slices.Clone(msgs)}
	disturb := func(int) {
		switch rnd.IntN(8) {
		case 0:
			rig.cut()
		case 1:
			if err := rig.MoveTopicPartition("t", rnd.Int32N(3), rnd.Int32N(3)); err != nil {
				t.Fatal(err)
			}
		case 2, 3:
			rig.Fault(produceFault(someFault(rnd), 1+rnd.IntN(2), rnd.Int32N(3)))
		case 4:
			rig.RehashCoordinators()
		}
	}
	for i := 0; i < 30 && len(c.pending) > 0; i++ {
		c.session(t, 1+rnd.IntN(20), disturb)
	}
	for i := 0; i < 200 && len(c.pending) > 0; i++ {
		c.session(t, 1000, func(int) {})
	}
	if len(c.pending) > 0 {
		t.Errorf("%d are still to be sent", len(c.pending))
	}
	wantTopic(t, rig.system, "t", msgs, 3)
}

// someFault is an answer after which the same batch is sent again, or the lane ends.
func someFault(rnd *rand.Rand) kafkago.Error {
	all := []kafkago.Error{
		kafkago.NotLeaderForPartition, kafkago.RequestTimedOut, kafkago.NotEnoughReplicasAfterAppend, kafkago.KafkaStorageError,
		kafkago.RequestTimedOut, kafkago.OutOfOrderSequenceNumber, kafkago.InvalidProducerEpoch, kafkago.MessageSizeTooLarge,
	}
	return all[rnd.IntN(len(all))]
}
