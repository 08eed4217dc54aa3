package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/crossfade-mq/crossfade/bridge"
)

// errStranger says that a message is for a topic that this session does not know.
var errStranger = errors.New("a topic that is not known")

// find gives the partition that a message goes to. The lane's mutex is held; there is
// no I/O.
func (l *lane) find(m *bridge.Message) (*partition, error) {
	name, err := l.encoder.topicOf(m)
	if err != nil {
		return nil, err
	}
	parts := l.byName[string(name)]
	n := int32(len(parts))
	if parts == nil {
		t := l.sink.target.topics[string(name)]
		if t == nil {
			return nil, errStranger
		}
		n = t.partitions
	}
	index := l.sink.opener.config.partition(m, n)
	if parts == nil || parts[index] == nil {
		return nil, fmt.Errorf("%s: topic %s has %d partitions, of which %d is not lane %d's: %w", Kind, name, n, index, l.index, bridge.ErrRerouted)
	}
	return parts[index], nil
}

// strangers are topics that were looked for and not there, and when that was. They
// are Send's.
type strangers map[string]time.Time

// rejectFor is how long a topic is taken not to be there without another look.
const rejectFor = time.Second

// meet deals with a message for a topic that this session does not know: it is there
// by now, or is made where the settings say so, and then all lanes begin anew, since
// it has to be fenced like any other; or the message cannot be placed.
func (l *lane) meet(ctx context.Context, m *bridge.Message) error {
	topic, err := l.encoder.topicOf(m)
	if err != nil {
		return err
	}
	name, o, c := string(topic), l.sink.opener, l.sink.cluster
	last, met := l.strangers[name]
	look := c.look
	switch {
	case time.Since(last) < rejectFor:
		return unroutable(name)
	case !met && o.config.Create == nil && validTopic(name):
		look = func(ctx context.Context, names ...string) (*layout, error) { return c.find(ctx, names[0]) }
	}
	found, err := look(ctx, name)
	if err != nil {
		return err
	}
	made := "has been made since this session began"
	if found.topics[name] == nil {
		if o.config.Create == nil || !validTopic(name) {
			l.missed(name)
			return unroutable(name)
		}
		if err := o.create(ctx, c, name); err != nil {
			return err
		}
		made = "has been made for this message"
	}
	return fmt.Errorf("%s: %s: topic %s %s: %w", Kind, o.system.name, name, made, bridge.ErrRerouted)
}

// missed notes that a topic is not there.
func (l *lane) missed(name string) {
	if l.strangers == nil || len(l.strangers) > 1000 {
		l.strangers = strangers{}
	}
	l.strangers[name] = time.Now()
}

func unroutable(name string) error {
	return bridge.Reject(bridge.ReasonUnroutable, fmt.Errorf("topic %s: %w, and create: is not written", bridge.Printable(name, 100), errNoTopic))
}

// createCommand is what an operator types to make a topic.
func (o *SinkOpener) createCommand(name string) string {
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions N --replication-factor 3 --config min.insync.replicas=2", o.system.config.Brokers[0], name)
}

// create makes a topic as the settings say, and waits until its partitions have
// leaders. That it is there already is no error.
func (o *SinkOpener) create(ctx context.Context, c *cluster, name string) error {
	deadline := time.Now().Add(o.system.config.RequestTimeout)
	for {
		again, err := o.tryCreate(ctx, c, name)
		if err != nil && !again {
			return err
		}
		if err == nil {
			led, lookErr := c.led(ctx, name)
			if led || lookErr != nil {
				return lookErr
			}
			err = fmt.Errorf("%s: %s: topic %s: it was made, and its partitions have no leaders yet", Kind, o.system.name, name)
		}
		if time.Now().After(deadline) {
			return err
		}
		if !pause(ctx, coordinatorPause) {
			return context.Cause(ctx)
		}
	}
}

// led says whether a topic is there and all its partitions have leaders.
func (c *cluster) led(ctx context.Context, name string) (bool, error) {
	l, err := c.look(ctx, name)
	if err != nil || l.topics[name] == nil {
		return false, err
	}
	for _, p := range l.topics[name].partitions {
		if _, ok := l.brokers[p.leader]; !ok {
			return false, nil
		}
	}
	return true, nil
}

// tryCreate asks the controller once; again says that it may be asked once more.
func (o *SinkOpener) tryCreate(ctx context.Context, c *cluster, name string) (again bool, err error) {
	l, err := c.look(ctx, name)
	if err != nil {
		return false, err
	}
	k, err := c.controller(ctx, l)
	if err != nil {
		return false, err
	}
	topic := createtopics.RequestTopic{Name: name, NumPartitions: int32(o.config.Create.Partitions), ReplicationFactor: int16(o.config.Create.Replication)}
	if topic.ReplicationFactor == 0 {
		topic.ReplicationFactor = -1 // the cluster's own: KIP-464
	}
	for _, kv := range o.config.Create.Configs {
		key, value, _ := strings.Cut(kv, "=")
		topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: key, Value: value})
	}
	timeout := o.system.config.RequestTimeout
	m, err := k.askFor(ctx, timeout, &createtopics.Request{Topics: []createtopics.RequestTopic{topic}, TimeoutMs: int32(timeout.Milliseconds())})
	if err != nil {
		return false, err
	}
	made := m.(*createtopics.Response).Topics
	if len(made) != 1 {
		return false, k.failed("CreateTopics", fmt.Errorf("%d topics in the answer to one", len(made)))
	}
	e := kafkago.Error(made[0].ErrorCode)
	if e == 0 || e == kafkago.TopicAlreadyExists {
		return false, nil
	}
	err = k.refused("CreateTopics of "+name, e)
	if text := made[0].ErrorMessage; text != "" {
		err = fmt.Errorf("%w: %s", err, bridge.Printable(text, 300))
	}
	switch e {
	case kafkago.NotController, kafkago.RequestTimedOut, kafkago.ThrottlingQuotaExceeded:
		return true, err
	case kafkago.InvalidPartitionNumber, kafkago.InvalidReplicationFactor, kafkago.InvalidConfiguration, kafkago.InvalidTopic, kafkago.PolicyViolation, kafkago.InvalidRequest:
		err = bridge.Fatal(err, "Correct the create block of the target, or make the topic yourself: "+o.createCommand(name)+".")
	}
	return false, err
}
