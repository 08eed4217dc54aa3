package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describegroups"
)

const (
	// standEvery is how often a process that stands by looks whether the tap is free.
	standEvery = 200 * time.Millisecond
	// standMargin is how much longer than the session time-out it does so before it
	// says that the other one lives.
	standMargin = time.Second
)

// standBy waits until no process is in the group. Whoever has died is given up by then,
// so that if one is there still, it lives, and the error says who. It looks and does not
// join: a second member would have the group agree on a generation anew, and the
// process that has the tap be refused meanwhile.
func (m *member) standBy(ctx context.Context) error {
	deadline := time.Now().Add(m.session + standMargin)
	for {
		who, err := m.occupied(ctx)
		if err != nil || who == "" {
			return err
		}
		standing := m.says(fmt.Errorf("%s runs it; standing by", who))
		if time.Now().After(deadline) {
			return standing
		}
		if !pause(ctx, standEvery) {
			return errors.Join(context.Cause(ctx), standing)
		}
	}
}

// occupied says who is in the group; empty is nobody. It takes out members of which it
// knows that they are gone: earlier sessions of this process, and processes that were
// on this machine.
func (m *member) occupied(ctx context.Context) (who string, err error) {
	g, err := m.describe(ctx)
	if err != nil {
		return "", err
	}
	var gone []string
	for _, other := range g.Members {
		o, ok := subscriber(other.MemberMetadata)
		switch {
		case ok && (o.Process == m.self.Process || o.dead()):
			gone = append(gone, other.MemberID)
		case ok:
			who = o.String()
		case who == "":
			who = "a process at " + other.ClientHost
		}
	}
	if len(gone) > 0 {
		return who, m.expel(ctx, gone)
	}
	return who, nil
}

// describe asks for the members of the group. There are none if there is no group.
func (m *member) describe(ctx context.Context) (*describegroups.ResponseGroup, error) {
	none := &describegroups.ResponseGroup{}
	of := func(r protocol.Message) *describegroups.ResponseGroup {
		if all := r.(*describegroups.Response).Groups; len(all) == 1 {
			return &all[0]
		}
		return none
	}
	res, e, err := m.coordinator.ask(ctx, 0, &describegroups.Request{Groups: []string{m.coordinator.group}},
		func(r protocol.Message) int16 { return of(r).ErrorCode })
	switch {
	case err != nil:
		return nil, err
	case e == kafkago.GroupIdNotFound:
		return none, nil
	case e != 0:
		return nil, m.refused("DescribeGroups", e)
	}
	return of(res), nil
}
