package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/joingroup"
	"github.com/segmentio/kafka-go/protocol/syncgroup"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A member is a session's membership in the relay's group, in which one member has the
// tap. join and beat are one caller's; the others are safe beside them.
//
//	join ──► generation 7 ──beat──► rebalance: join again ──► generation 8 ──► …
//	                          │
//	                          └──► given up, or without the tap: the session ends
type member struct {
	coordinator coordinator
	session     time.Duration
	topics      assignment
	self        owner // Generation is join's
	hurry       chan struct{}

	mu         sync.Mutex // guards what follows; not held across I/O
	id         string
	generation int32
	next       chan struct{} // closed when another generation has begun
}

func newMember(c *cluster, group string, topics assignment) *member {
	return &member{
		coordinator: coordinator{cluster: c, group: group}, session: c.system.config.SessionTimeout, topics: topics,
		self: thisProcess(c.system.process), hurry: make(chan struct{}, 1), next: make(chan struct{}),
	}
}

// errLost says that the group goes on without this session.
var errLost = errors.New("the group has given this session up: it was silent for longer than session_timeout, or another process of the relay was let in")

// errNoTap says that another member has the tap.
var errNoTap = errors.New("another process runs it; standing by")

// current gives the member's ID and the generation, which every request that changes
// something names, and a channel that is closed when the generation is over.
func (m *member) current() (id string, generation int32, over <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id, m.generation, m.next
}

func (m *member) is(id string, generation int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id == id && m.generation == generation {
		return
	}
	m.id, m.generation = id, generation
	close(m.next)
	m.next = make(chan struct{})
}

// join makes this process a member of the next generation, and is errNoTap if it is
// one without the tap. A member that has the tap keeps it. KIP-394.
func (m *member) join(ctx context.Context) error {
	id, _, _ := m.current()
	topics := m.names()
	for {
		res, e, err := m.coordinator.ask(ctx, 2*m.session, &joingroup.Request{
			GroupID: m.coordinator.group, MemberID: id, ProtocolType: groupProtocol,
			SessionTimeoutMS: millis(m.session), RebalanceTimeoutMS: millis(m.session),
			Protocols: []joingroup.RequestProtocol{{Name: assignor, Metadata: subscription(topics, &m.self)}},
		}, func(r protocol.Message) int16 { return r.(*joingroup.Response).ErrorCode })
		if err != nil {
			return err
		}
		joined := res.(*joingroup.Response)
		switch {
		case e == kafkago.MemberIDRequired:
			id = joined.MemberID
			m.is(id, -1)
			continue
		case e != 0:
			return m.refused("JoinGroup", e)
		}
		again, err := m.sync(ctx, joined)
		if err != nil || !again {
			return err
		}
		id = joined.MemberID
	}
}

// sync learns who has the tap in the generation that was joined. again says that the
// generation is over already.
func (m *member) sync(ctx context.Context, joined *joingroup.Response) (again bool, err error) {
	req := &syncgroup.Request{
		GroupID: m.coordinator.group, GenerationID: joined.GenerationID, MemberID: joined.MemberID,
		ProtocolType: groupProtocol, ProtocolName: assignor,
	}
	if joined.LeaderID == joined.MemberID {
		holder := holderOf(joined)
		for _, other := range joined.Members {
			req.Assignments = append(req.Assignments, syncgroup.RequestAssignment{
				MemberID: other.MemberID, Assignment: m.topics.append(nil, other.MemberID == holder),
			})
		}
	}
	res, e, err := m.coordinator.ask(ctx, m.session, req, func(r protocol.Message) int16 { return r.(*syncgroup.Response).ErrorCode })
	switch {
	case err != nil:
		return false, err
	case e == kafkago.RebalanceInProgress:
		m.is(joined.MemberID, -1)
		return true, nil
	case e != 0:
		return false, m.refused("SyncGroup", e)
	case !hasTap(res.(*syncgroup.Response).Assignments):
		m.is(joined.MemberID, -1)
		return false, m.says(errNoTap)
	}
	m.self.Generation = joined.GenerationID
	m.is(joined.MemberID, joined.GenerationID)
	return false, nil
}

// holderOf chooses the member that gets the tap: the one that had it last, else the
// leader.
func holderOf(joined *joingroup.Response) string {
	holder, newest := joined.LeaderID, int32(0)
	for _, other := range joined.Members {
		if o, ok := subscriber(other.Metadata); ok && o.Generation > newest {
			holder, newest = other.MemberID, o.Generation
		}
	}
	return holder
}

// beat says for as long as ctx lasts that this process lives, and joins every new
// generation. It gives the reason why the membership is over.
func (m *member) beat(ctx context.Context) error {
	every := min(m.session/5, time.Second)
	for {
		timer := time.NewTimer(every)
		select {
		case <-timer.C:
		case <-m.hurry:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
		id, generation, _ := m.current()
		e, err := m.coordinator.exchange(ctx, protocol.Heartbeat, func(dst []byte) []byte {
			return appendHeartbeat(dst, m.coordinator.group, generation, id)
		})
		switch {
		case err != nil:
			return err
		case e == kafkago.RebalanceInProgress:
			err = m.join(ctx)
		case e != 0:
			err = m.refused("Heartbeat", e)
		}
		if err != nil {
			return err
		}
	}
}

// await waits until the generation is over, since a request was answered that another
// one is being agreed on.
func (m *member) await(ctx context.Context, over <-chan struct{}, ended <-chan struct{}) error {
	select {
	case m.hurry <- struct{}{}:
	default:
	}
	select {
	case <-over:
		return nil
	case <-ended:
		return bridge.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave ends the membership, so that the next process need not wait for the session
// time-out. beat has ended.
func (m *member) leave(ctx context.Context) {
	if id, _, _ := m.current(); id != "" {
		_ = m.expel(ctx, []string{id}) // if it fails, the time-out does it
	}
}

// expel takes members out of the group.
func (m *member) expel(ctx context.Context, ids []string) error {
	for _, id := range ids {
		e, err := m.coordinator.exchange(ctx, protocol.LeaveGroup, func(dst []byte) []byte { return appendLeave(dst, m.coordinator.group, id) })
		switch {
		case err != nil:
			return err
		case e != 0 && e != kafkago.UnknownMemberId:
			return m.refused("LeaveGroup", e)
		}
	}
	return nil
}

// refused says what an answer to a request of the membership means.
func (m *member) refused(what string, e kafkago.Error) error {
	err := m.coordinator.failed(what, e)
	switch e {
	case kafkago.UnknownMemberId, kafkago.IllegalGeneration, kafkago.FencedInstanceID:
		return m.says(fmt.Errorf("%w (%s: %w)", errLost, what, e))
	case kafkago.InconsistentGroupProtocol:
		return bridge.Fatal(err, "Another program is in the relay's group; find it with kafka-consumer-groups --describe --members --group "+m.coordinator.group+" and give it another group.")
	case kafkago.InvalidSessionTimeout:
		return bridge.Fatal(err, fmt.Sprintf("Set session_timeout of system %s, which is %v, to what the brokers take: group.min.session.timeout.ms is 6 s by default.", m.coordinator.cluster.system.name, m.session))
	}
	return err
}

func (m *member) says(err error) error {
	return fmt.Errorf("%s: %s: group %s: %w", Kind, m.coordinator.cluster.system.name, m.coordinator.group, err)
}

func (m *member) names() []string {
	names := make([]string, 0, len(m.topics))
	for name := range m.topics {
		names = append(names, name)
	}
	return names
}

func millis(d time.Duration) int32 { return int32(min(d.Milliseconds(), 1<<31-1)) }
