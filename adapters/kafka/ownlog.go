package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An ownLog is a topic of the bridge's own, of one partition, that is appended to and
// read from its first record. It outlives the sessions of the tap: it finds the
// partition's leader anew where that has moved. One caller at a time.
type ownLog struct {
	cluster *cluster
	topic   string
	layout  *layout // as it was when last looked at; nil if it has to be
	writer  batchWriter
	answer  produceResponse
}

// maxOwnRecord is the largest record of such a topic, and maxOwnBatch what is set for
// the batch around it, whatever the cluster's message.max.bytes is.
const (
	maxOwnRecord = 1<<20 - 1024
	maxOwnBatch  = 1<<20 + 12
)

// ownConfigs are the settings of such a topic: nothing of it goes away.
var ownConfigs = []createtopics.RequestConfig{
	{Name: "cleanup.policy", Value: "delete"},
	{Name: "retention.ms", Value: "-1"},
	{Name: "retention.bytes", Value: "-1"},
	{Name: "max.message.bytes", Value: fmt.Sprint(maxOwnBatch)},
	{Name: "message.timestamp.type", Value: "CreateTime"},
}

// look asks for the topic's layout.
func (o *ownLog) look(ctx context.Context) (*layout, error) {
	l, err := o.cluster.look(ctx, o.topic)
	if errors.Is(err, kafkago.TopicAuthorizationFailed) {
		err = bridge.Fatal(err, ownGrant)
	}
	return l, err
}

// ownGrant is what this user needs for topics of the bridge's own.
const ownGrant = "Grant the bridge's user Create, Describe, Read, Write and Delete on topics with the prefix " + ownPrefix + " (kafka-acls.sh --topic " + ownPrefix + " --resource-pattern-type prefixed)."

// there says whether the topic is there.
func (o *ownLog) there(ctx context.Context) (bool, error) {
	l, err := o.look(ctx)
	return err == nil && l.topics[o.topic] != nil, err
}

// make creates the topic where it is missing, and returns once it has a leader.
func (o *ownLog) make(ctx context.Context) error {
	l, err := o.look(ctx)
	if err != nil {
		return err
	}
	if l.topics[o.topic] == nil {
		if err := o.create(ctx, l, false); err != nil {
			return err
		}
	}
	return o.led(ctx)
}

// create makes the topic, or with try only says whether it could be made.
func (o *ownLog) create(ctx context.Context, l *layout, try bool) error {
	k, err := o.cluster.controller(ctx, l)
	if err != nil {
		return err
	}
	replicas := int16(-1) // what the cluster does by default: KIP-464
	if v := k.versions[protocol.CreateTopics]; v.max < 4 {
		replicas = int16(min(3, len(l.brokers)))
	}
	m, err := k.ask(ctx, &createtopics.Request{
		TimeoutMs: millis(k.system.config.RequestTimeout), ValidateOnly: try,
		Topics: []createtopics.RequestTopic{{Name: o.topic, NumPartitions: 1, ReplicationFactor: replicas, Configs: ownConfigs}},
	})
	if err != nil {
		return err
	}
	for _, t := range m.(*createtopics.Response).Topics {
		switch e := kafkago.Error(t.ErrorCode); e {
		case 0, kafkago.TopicAlreadyExists: // another relay of the bridge was faster
		case kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed:
			return bridge.Fatal(k.failed("create the bridge's own topic "+o.topic, e), ownGrant)
		case kafkago.InvalidReplicationFactor, kafkago.PolicyViolation, kafkago.InvalidConfiguration:
			return bridge.Fatal(k.failed("create the bridge's own topic "+o.topic, fmt.Errorf("%w: %s", e, bridge.Printable(t.ErrorMessage, 200))),
				"Create it by hand as the cluster wants it, with one partition, cleanup.policy=delete and retention.ms=-1.")
		default:
			return k.failed("create the bridge's own topic "+o.topic, e)
		}
	}
	return nil
}

// controller gives a connection to the broker that topics are created and deleted at.
func (c *cluster) controller(ctx context.Context, l *layout) (*conn, error) {
	if address, ok := l.brokers[l.controller]; ok {
		return c.at(ctx, l.controller, address)
	}
	return c.any(ctx)
}

// led waits until the topic's partition has a leader.
func (o *ownLog) led(ctx context.Context) error {
	_, err := o.leader(ctx)
	return err
}

// leader gives a connection to the leader, for which it looks for as long as
// request_timeout.
func (o *ownLog) leader(ctx context.Context) (k *conn, err error) {
	deadline := time.Now().Add(o.cluster.system.config.RequestTimeout)
	for {
		if o.layout == nil {
			o.layout, err = o.look(ctx)
		}
		if err == nil {
			if k, err = o.cluster.leader(ctx, o.layout, o.topic, 0); err == nil {
				return k, nil
			}
		}
		o.layout = nil
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if bridge.ClassOf(err) != bridge.Transient || time.Now().After(deadline) {
			return nil, err
		}
		if !pause(ctx, lookPause) {
			return nil, context.Cause(ctx)
		}
		err = nil
	}
}

// append writes one record and returns once all in-sync replicas have it. Where the
// broker says that it is not the leader it goes to another one; any other error leaves
// it unknown whether the record is there.
func (o *ownLog) append(ctx context.Context, record []byte) error {
	o.writer.begin(noProducer, noProducer, noProducer, codecNone)
	o.writer.add(time.Now().UnixMilli(), nil, record, nil)
	batch, err := o.writer.finish()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(o.cluster.system.config.RequestTimeout)
	for {
		k, err := o.leader(ctx)
		if err != nil {
			return err
		}
		e, err := o.produce(ctx, k, batch)
		switch {
		case err != nil:
			o.layout = nil
			return err
		case e == 0:
			return nil
		case refusedUnwritten(e) && time.Now().Before(deadline):
			o.layout = nil
			if !pause(ctx, lookPause) {
				return context.Cause(ctx)
			}
		default:
			o.layout = nil
			return k.refused("write to topic "+o.topic, e)
		}
	}
}

// refusedUnwritten says that a broker has written nothing, since it does not lead the
// partition, or does not know yet that it does.
func refusedUnwritten(e kafkago.Error) bool {
	return e == kafkago.NotLeaderForPartition || e == kafkago.LeaderNotAvailable || e == kafkago.UnknownTopicOrPartition
}

// The versions of Produce that are written and read.
const (
	leastOwnProduce = 3
	mostOwnProduce  = 8
)

func (o *ownLog) produce(ctx context.Context, k *conn, batch []byte) (kafkago.Error, error) {
	version, err := k.version(protocol.Produce, leastOwnProduce, mostOwnProduce)
	if err != nil {
		return 0, err
	}
	wait := k.system.config.RequestTimeout
	req := produceRequest{timeout: millis(wait), partitions: []producePartition{{topic: o.topic, batch: batch}}}
	body, err := k.exchange(ctx, &frame{key: protocol.Produce, version: version, wait: wait,
		body: func(dst []byte) []byte { return appendProduce(dst, version, &req) }}, nil)
	if err != nil {
		return 0, err
	}
	if err := readProduce(body, version, &o.answer); err != nil {
		return 0, k.failed("Produce", err)
	}
	if len(o.answer.partitions) != 1 {
		return 0, k.failed("Produce", fmt.Errorf("an answer for %d partitions, want 1", len(o.answer.partitions)))
	}
	return kafkago.Error(o.answer.partitions[0].errorCode), nil
}

// replay calls each with every record from the first to the last that was there when it
// was called, in memory of its own.
func (o *ownLog) replay(ctx context.Context, each func(record []byte) error) error {
	if _, err := o.leader(ctx); err != nil {
		return err
	}
	at := spot{o.topic, 0}
	ends := [2]int64{}
	for i, which := range []int64{atEarliest, atLatest} {
		found, err := o.cluster.positions(ctx, o.layout, which, false, at)
		if err != nil {
			o.layout = nil
			return err
		}
		ends[i] = found[at]
	}
	next, end := ends[0], ends[1]
	deadline := time.Now().Add(o.cluster.system.config.RequestTimeout)
	for next < end {
		to, err := o.read(ctx, next, end, each)
		switch {
		case err == nil:
			next, deadline = to, time.Now().Add(o.cluster.system.config.RequestTimeout)
		case !movedAway(err) || time.Now().After(deadline):
			return err
		case !pause(ctx, lookPause):
			return context.Cause(ctx)
		}
	}
	return nil
}

// read fetches once from an offset, and calls each with the records in front of end.
func (o *ownLog) read(ctx context.Context, from, end int64, each func(record []byte) error) (next int64, err error) {
	k, err := o.leader(ctx)
	if err != nil {
		return from, err
	}
	version, err := k.version(protocol.Fetch, leastFetch, mostFetch)
	if err != nil {
		return from, err
	}
	req := fetchRequest{maxWait: millis(fetchWait), minBytes: 1, maxBytes: defaultMaxBytes, partitions: []fetchPartition{{
		topic: o.topic, leaderEpoch: o.layout.topics[o.topic].partitions[0].epoch, offset: from, maxBytes: 4 << 20,
	}}}
	body, err := k.exchange(ctx, &frame{key: protocol.Fetch, version: version, wait: fetchWait,
		body: func(dst []byte) []byte { return appendFetch(dst, version, &req) }}, nil)
	var res fetchResponse
	if err == nil {
		err = readFetch(body, version, &res)
	}
	if err != nil {
		o.layout = nil
		return from, err
	}
	if len(res.partitions) != 1 || res.errorCode != 0 || res.partitions[0].errorCode != 0 {
		o.layout = nil
		e := kafkago.Error(res.errorCode)
		if len(res.partitions) == 1 && e == 0 {
			e = kafkago.Error(res.partitions[0].errorCode)
		}
		return from, k.refused("read topic "+o.topic, e)
	}
	return recordsOf(res.partitions[0].records, from, end, each)
}

// recordsOf calls each with the values of the records of a set that are at or behind from
// and in front of end, and gives the offset behind its last batch.
func recordsOf(set []byte, from, end int64, each func(record []byte) error) (next int64, err error) {
	r := batchReader{owned: true}
	r.reset(set)
	next = from
	var rec record
	for {
		h, ok, err := r.nextBatch()
		if !ok || err != nil {
			return next, err
		}
		for !h.control() {
			ok, err := r.next(&rec)
			if err != nil {
				return next, err
			}
			if !ok {
				break
			}
			if rec.offset < from || rec.offset >= end {
				continue
			}
			if err := each(rec.value); err != nil {
				return next, err
			}
		}
		next = max(next, h.lastOffset+1)
	}
}
