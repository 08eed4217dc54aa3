package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A cluster is the connections of one session: one to each broker that it has to do
// with, opened when it is needed, and what was last learnt of topics. It does not
// reconnect: a connection that ends is dropped, the call that met it fails, and the
// next one dials. Safe for concurrent use; several requests to one broker take
// turns, so whoever waits long at a broker has a cluster of its own.
type cluster struct {
	system *system

	mu     sync.Mutex // guards what follows; not held across I/O
	conns  map[int32]*conn
	seed   *conn
	closed bool
}

func newCluster(s *system) *cluster { return &cluster{system: s, conns: map[int32]*conn{}} }

// close ends all connections at once. Idempotent.
func (c *cluster) close() {
	c.mu.Lock()
	conns := []*conn{c.seed}
	for _, k := range c.conns {
		conns = append(conns, k)
	}
	c.seed, c.closed = nil, true
	clear(c.conns)
	c.mu.Unlock()
	for _, k := range conns {
		if k != nil {
			k.close()
		}
	}
}

// any gives a connection to any broker.
func (c *cluster) any(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	seed, closed := c.seed, c.closed
	c.mu.Unlock()
	if closed {
		return nil, bridge.ErrClosed
	}
	if seed != nil && !seed.ended() {
		return seed, nil
	}
	k, err := c.system.bootstrap(ctx)
	if err != nil {
		return nil, err
	}
	return c.keep(k, func() *conn { was := c.seed; c.seed = k; return was })
}

// at gives the connection to that broker.
func (c *cluster) at(ctx context.Context, node int32, address string) (*conn, error) {
	c.mu.Lock()
	k, closed := c.conns[node], c.closed
	c.mu.Unlock()
	if closed {
		return nil, bridge.ErrClosed
	}
	if k != nil && !k.ended() && k.broker == address {
		return k, nil
	}
	k, err := c.system.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return c.keep(k, func() *conn { was := c.conns[node]; c.conns[node] = k; return was })
}

// keep makes k one of the cluster's, in place of another.
func (c *cluster) keep(k *conn, put func() *conn) (*conn, error) {
	c.mu.Lock()
	closed := c.closed
	var was *conn
	if !closed {
		was = put()
	}
	c.mu.Unlock()
	if was != nil {
		was.close()
	}
	if closed {
		k.close()
		return nil, bridge.ErrClosed
	}
	return k, nil
}

// A layout is what a cluster said of itself and of topics.
type layout struct {
	cluster    string // its ID
	controller int32
	brokers    map[int32]string // HOST:PORT
	topics     map[string]*topicLayout
}

// A topicLayout is one topic of a layout.
type topicLayout struct {
	name       string
	id         string // hexadecimal; empty where the brokers know none (before 2.8)
	internal   bool
	partitions []partitionLayout // by number
}

// A partitionLayout is one partition: who leads it, since which epoch; leader -1 is
// nobody at the moment.
type partitionLayout struct {
	leader, epoch    int32
	replicas, inSync int
}

// errNoTopic says that a topic is not there, or hidden from this user.
var errNoTopic = errors.New("there is no such topic, or this user may not see it")

// errNoLeader says that nobody leads a partition.
var errNoLeader = errors.New("it has no leader at the moment")

// look asks for the layout of topics; all if none is named. A named topic that is not
// there is missing from the answer.
func (c *cluster) look(ctx context.Context, names ...string) (*layout, error) {
	k, err := c.any(ctx)
	if err != nil {
		return nil, err
	}
	version, err := k.version(protocol.Metadata, 4, 12) // those before make the topics that they are asked for
	if err != nil {
		return nil, err
	}
	req := metadataRequest{topics: names, all: len(names) == 0}
	body, err := k.exchange(ctx, &frame{key: protocol.Metadata, version: version, flexible: version >= metadataFlexible,
		body: func(dst []byte) []byte { return appendMetadata(dst, version, &req) }}, nil)
	if err != nil {
		return nil, err
	}
	var res metadataResponse
	if err := readMetadata(body, version, &res); err != nil {
		return nil, k.failed("Metadata", err)
	}
	return k.layoutOf(&res)
}

func (c *conn) layoutOf(res *metadataResponse) (*layout, error) {
	l := &layout{cluster: res.clusterID, controller: res.controller, brokers: map[int32]string{}, topics: map[string]*topicLayout{}}
	for _, b := range res.brokers {
		l.brokers[b.id] = net.JoinHostPort(b.host, strconv.Itoa(int(b.port)))
	}
	for i := range res.topics {
		t := &res.topics[i]
		switch e := kafkago.Error(t.errorCode); e {
		case 0, kafkago.LeaderNotAvailable:
		case kafkago.UnknownTopicOrPartition, kafkago.InvalidTopic:
			continue
		case kafkago.TopicAuthorizationFailed:
			return nil, bridge.Fatal(fmt.Errorf("%s: %s: topic %s: %w", Kind, c.system.name, bridge.Printable(t.name, 100), e), "Grant the bridge's user Describe on the topic.")
		default:
			return nil, c.failed("Metadata of topic "+bridge.Printable(t.name, 100), e)
		}
		topic := &topicLayout{name: t.name, internal: t.internal, partitions: make([]partitionLayout, len(t.partitions))}
		if t.id != (topicID{}) {
			topic.id = hex.EncodeToString(t.id[:])
		}
		for _, p := range t.partitions {
			if p.index < 0 || int(p.index) >= len(t.partitions) {
				return nil, c.failed("Metadata", fmt.Errorf("partition %d of %d of topic %s", p.index, len(t.partitions), bridge.Printable(t.name, 100)))
			}
			topic.partitions[p.index] = partitionLayout{leader: p.leader, epoch: p.leaderEpoch, replicas: len(p.replicas), inSync: len(p.inSync)}
		}
		l.topics[t.name] = topic
	}
	return l, nil
}

// leader gives the connection to the leader of a partition.
func (c *cluster) leader(ctx context.Context, l *layout, topic string, partition int32) (*conn, error) {
	t := l.topics[topic]
	if t == nil || int(partition) >= len(t.partitions) {
		return nil, fmt.Errorf("%s: %s: topic %s: partition %d: %w", Kind, c.system.name, topic, partition, errNoTopic)
	}
	node := t.partitions[partition].leader
	address, ok := l.brokers[node]
	if !ok {
		return nil, fmt.Errorf("%s: %s: topic %s: partition %d: %w", Kind, c.system.name, topic, partition, errNoLeader)
	}
	return c.at(ctx, node, address)
}

// The kinds of coordinators: the key types of FindCoordinator.
const (
	groupCoordinator       int8 = 0
	transactionCoordinator int8 = 1
)

// coordinator gives a connection to the broker that coordinates a group or a
// transactional ID. A cluster that has just been started makes the topic first in
// which coordinators keep their records, so it is asked again for a while.
func (c *cluster) coordinator(ctx context.Context, kind int8, key string) (*conn, error) {
	deadline := time.Now().Add(c.system.config.RequestTimeout)
	for {
		k, err := c.any(ctx)
		if err != nil {
			return nil, err
		}
		m, err := k.ask(ctx, &findcoordinator.Request{Key: key, KeyType: kind})
		if err != nil {
			return nil, err
		}
		res := m.(*findcoordinator.Response)
		if res.ErrorCode == 0 {
			return c.at(ctx, res.NodeID, net.JoinHostPort(res.Host, strconv.Itoa(int(res.Port))))
		}
		e := kafkago.Error(res.ErrorCode)
		if e != kafkago.GroupCoordinatorNotAvailable || time.Now().After(deadline) {
			return nil, k.refused("coordinator of "+key, e)
		}
		if !pause(ctx, coordinatorPause) {
			return nil, context.Cause(ctx)
		}
	}
}

const coordinatorPause = 100 * time.Millisecond

// refused says what a broker's error code about a request means for the relay:
// what an operator has to grant is Fatal, all else transient.
func (c *conn) refused(what string, e kafkago.Error) error {
	err := c.failed(what, e)
	switch {
	case slices.Contains([]kafkago.Error{kafkago.GroupAuthorizationFailed, kafkago.TopicAuthorizationFailed, kafkago.ClusterAuthorizationFailed, kafkago.TransactionalIDAuthorizationFailed}, e):
		return bridge.Fatal(err, "Grant the bridge's user what is refused; `crossfade check` lists all that it needs.")
	case e == kafkago.SASLAuthenticationFailed:
		return bridge.Fatal(err, "Check user and password in the sasl block of system "+c.system.name+".")
	}
	return err
}
