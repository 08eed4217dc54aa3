package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/crossfade-mq/crossfade/bridge"
)

// prove makes sure that what the relay has read of parts is what their leader holds. A
// leader that was elected though it was behind (unclean.leader.election.enable, or disks
// that were lost) gives out offsets again; the epoch of the leader that wrote the record
// in front of the position tells. It is asked where a session begins, and whenever a
// leader changes, before anything more is read. KIP-320.
//
//	read:  epoch 3 ▓▓▓▓▓▓▓▓▓▓▓▓│ next
//	holds: epoch 3 ▓▓▓▓▓▓│ epoch 4 ░░░░░░░░     epoch 3 ends below next
func (f *fetcher) prove(ctx context.Context) error {
	questions := f.questions()
	if len(questions) == 0 {
		return nil
	}
	k, err := f.reader.fetches.at(ctx, f.node, f.address)
	if err != nil {
		return err
	}
	version, err := k.version(protocol.OffsetForLeaderEpoch, epochsVersion, epochsVersion)
	if err != nil { // a broker that cannot tell
		f.proven(questions)
		return nil
	}
	body, err := k.exchange(ctx, &frame{key: protocol.OffsetForLeaderEpoch, version: version,
		body: func(dst []byte) []byte { return appendEpochs(dst, questions) }}, nil)
	if err != nil {
		return err
	}
	answers, err := readEpochs(body)
	if err != nil {
		return k.failed("OffsetForLeaderEpoch", err)
	}
	return f.judge(answers)
}

// questions are those about parts that have not been proven.
func (f *fetcher) questions() (all []epochQuestion) {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.source.parts {
		if p.feed.leader != f.node || !p.feed.unproven {
			continue
		}
		if p.feed.last < 0 {
			p.feed.unproven = false
			continue
		}
		all = append(all, epochQuestion{topic: p.topic, index: p.partition, current: p.feed.epoch, of: p.feed.last})
	}
	return all
}

// proven takes parts as they are.
func (f *fetcher) proven(questions []epochQuestion) {
	answers := make([]epochAnswer, len(questions))
	for i, q := range questions {
		answers[i] = epochAnswer{topic: q.topic, index: q.index, epoch: q.of, end: 1<<63 - 1}
	}
	_ = f.judge(answers) // which they cannot fail
}

// judge compares what the leader holds with what was read.
func (f *fetcher) judge(answers []epochAnswer) error {
	r := f.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.source.parts {
		for _, a := range answers {
			if a.topic != p.topic || a.index != p.partition || p.feed.leader != f.node {
				continue
			}
			switch e := kafkago.Error(a.errorCode); {
			case elsewhere(e):
				r.loses(p, e)
			case e != 0:
				return r.refused(p, e)
			case a.diverges(&p.feed):
				return r.source.divergedError(p, a.end)
			default:
				p.feed.unproven = false
			}
		}
	}
	return nil
}

// diverges says that the leader does not hold the record in front of the position. A
// leader that knows no epoch so new has never heard of that record; one that knows none at
// all cannot tell.
func (a *epochAnswer) diverges(f *feed) bool {
	if a.epoch < 0 || a.end < 0 {
		return f.last > f.epoch
	}
	return a.epoch < f.last || a.end < f.next
}

func (s *source) divergedError(p *part, end int64) error {
	what := fmt.Sprintf("up to offset %d the relay has read records of leader epoch %d, which the cluster does not hold any more", p.feed.next, p.feed.last)
	to := "--to-latest"
	if end >= 0 {
		what += fmt.Sprintf(": from offset %d on it holds others", end)
		to = fmt.Sprintf("--to-offset %d", end)
	}
	return bridge.Fatal(s.wrong(p.spot, "%s", what),
		"The cluster has lost records that it had confirmed (see unclean.leader.election.enable and min.insync.replicas). To go on with what it holds now: "+s.reset(p.spot, to)+".")
}
