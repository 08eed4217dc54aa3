package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"github.com/segmentio/kafka-go/protocol/offsetfetch"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A mark is how far the relay has come in one partition: what the group keeps of it.
type mark struct {
	floor int64 // everything before this offset is settled
	epoch int32 // of the partition's leader, as far as it is known; -1 is not at all
	note  note
}

// A note is what stands beside an offset in the group, as its metadata.
type note struct {
	// Topic is the ID of the topic: it tells one life of a name from the next.
	Topic string `json:"topic,omitempty"`
	// Early are the runs above the floor that are settled as well, each as its distance
	// from the floor, both ends included. Only an orderly end of a session writes them;
	// what is missing here comes again.
	Early []run `json:"early,omitempty"`
}

// maxNote is how many octets a note may have: offset.metadata.max.bytes is 4,096 unless
// an operator has changed it.
const maxNote = 4096

// text is the note with as many of its runs as there is room for, the first ones.
func (n note) text() string {
	for {
		b, err := json.Marshal(n)
		if err != nil { // it has texts and numbers only
			panic(err)
		}
		if len(b) <= maxNote {
			return string(b)
		}
		n.Early = n.Early[:len(n.Early)*min(maxNote, len(b)-1)/len(b)]
	}
}

// noteOf writes runs of offsets above a floor down.
func noteOf(topic string, floor int64, early []run) note {
	n := note{Topic: topic}
	for _, r := range early {
		n.Early = append(n.Early, run{max(0, r[0]-floor), r[1] - floor})
	}
	return n
}

// runs are what was noted, as offsets.
func (m *mark) runs() []run {
	var all []run
	for _, r := range m.note.Early {
		if r[0] >= 0 && r[0] <= r[1] {
			all = append(all, run{m.floor + r[0], m.floor + r[1]})
		}
	}
	return all
}

// A spot is a partition of a topic.
type spot struct {
	topic     string
	partition int32
}

// marks asks for all positions that a group keeps.
func (c *coordinator) marks(ctx context.Context) (map[spot]mark, error) {
	res, e, err := c.ask(ctx, 0, &offsetfetch.Request{GroupID: c.group}, func(r protocol.Message) int16 { return r.(*offsetfetch.Response).ErrorCode })
	switch {
	case err != nil:
		return nil, err
	case e == kafkago.GroupIdNotFound:
		return nil, nil
	case e != 0:
		return nil, c.failed("OffsetFetch", e)
	}
	all := map[spot]mark{}
	for _, t := range res.(*offsetfetch.Response).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return nil, c.failed(fmt.Sprintf("OffsetFetch of topic %s partition %d", t.Name, p.PartitionIndex), kafkago.Error(p.ErrorCode))
			}
			if p.CommittedOffset < 0 {
				continue
			}
			m := mark{floor: p.CommittedOffset, epoch: p.ComittedLeaderEpoch}
			if p.Metadata != "" {
				if err := json.Unmarshal([]byte(p.Metadata), &m.note); err != nil {
					m.note = note{} // whoever set the offset by hand had nothing to say
				}
			}
			all[spot{t.Name, p.PartitionIndex}] = m
		}
	}
	return all, nil
}

// offsets is where a session keeps how far it has come: the relay's group, bound to the
// session's generation, so that what an earlier session writes is refused. One caller
// at a time.
type offsets struct {
	coordinator coordinator
	member      *member
	ended       <-chan struct{} // closed at the end of the session
}

// commit writes marks and returns once they are durable. Where the group is agreeing on
// another generation it waits for that, in which this session may have lost the tap. // I6
func (o *offsets) commit(ctx context.Context, marks map[spot]mark) error {
	req := &offsetcommit.Request{GroupID: o.coordinator.group, RetentionTimeMs: -1}
	at := map[string]int{}
	for s, m := range marks {
		i, ok := at[s.topic]
		if !ok {
			i = len(req.Topics)
			at[s.topic] = i
			req.Topics = append(req.Topics, offsetcommit.RequestTopic{Name: s.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, offsetcommit.RequestPartition{
			PartitionIndex: s.partition, CommittedOffset: m.floor, CommittedLeaderEpoch: m.epoch, CommittedMetadata: m.note.text(),
		})
	}
	for {
		id, generation, over := o.member.current()
		req.MemberID, req.GenerationID = id, generation
		where, e, err := o.once(ctx, req)
		switch {
		case err != nil:
			return err
		case e == 0:
			return nil
		case e == kafkago.RebalanceInProgress, e == kafkago.IllegalGeneration: // which the member hears of too
			if err := o.await(ctx, over); err != nil {
				return err
			}
		default:
			return o.refused(where, e)
		}
	}
}

func (o *offsets) await(ctx context.Context, over <-chan struct{}) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*o.member.session, o.member.says(errors.New("it agrees on no generation")))
	defer cancel()
	return o.member.await(ctx, over, o.ended)
}

// once sends the request, and gives the first error code with its partition.
func (o *offsets) once(ctx context.Context, req *offsetcommit.Request) (where spot, e kafkago.Error, err error) {
	_, e, err = o.coordinator.ask(ctx, 0, req, func(r protocol.Message) int16 {
		for _, t := range r.(*offsetcommit.Response).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					where = spot{t.Name, p.PartitionIndex}
					return p.ErrorCode
				}
			}
		}
		return 0
	})
	return where, e, err
}

func (o *offsets) refused(where spot, e kafkago.Error) error {
	err := o.member.refused(fmt.Sprintf("OffsetCommit for topic %s partition %d", where.topic, where.partition), e)
	switch e {
	case kafkago.OffsetMetadataTooLarge:
		return bridge.Fatal(err, fmt.Sprintf("Crossfade writes up to %d octets beside an offset; set the brokers' offset.metadata.max.bytes to that, which is their default.", maxNote))
	case kafkago.TopicAuthorizationFailed:
		return bridge.Fatal(err, "Grant the bridge's user Read on the topic.")
	}
	return err
}

// ackEvery is the least time between two commits. Whoever acknowledges waits so long,
// and has more to acknowledge the next time: the brokers store at most 200 requests a
// second for a relay, whatever its load.
const ackEvery = 5 * time.Millisecond
