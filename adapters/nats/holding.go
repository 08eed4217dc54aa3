package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The metadata that tell what the bridge made from what operators made, whatever
// its name is.
const (
	metaBridge  = "crossfade-bridge"
	metaRelay   = "crossfade-relay"
	metaPurpose = "crossfade-purpose"
)

// The purposes of what the bridge makes.
const (
	purposeTap        = "tap"
	purposeRecall     = "recall"
	purposeReplay     = "replay"
	purposeJournal    = "journal"
	purposeCheckpoint = "checkpoint"
)

// ownMetadata marks what is made for a relay; for all relays of the bridge where
// the name is empty.
func ownMetadata(id bridge.Identity, purpose string) map[string]string {
	m := map[string]string{metaBridge: id.Bridge, metaPurpose: purpose}
	if id.Relay != "" {
		m[metaRelay] = id.Relay
	}
	return m
}

// A belonging is a Holding with the way to it.
type belonging struct {
	bridge.Holding
	rank     int    // what is removed first
	stream   string // where it is, or what it is
	consumer string // "" if it is none
	subject  string // of the records; "" if it is none
	messages uint64
}

// Holdings is as bridge.Keeper says.
func (s *system) Holdings(ctx context.Context, of string) ([]bridge.Holding, error) {
	conn, err := s.connect(ctx, "crossfade "+of+" holdings")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	own, err := conn.belongings(ctx, of)
	if err != nil {
		return nil, err
	}
	all := make([]bridge.Holding, len(own))
	for i := range own {
		all[i] = own[i].Holding
	}
	return all, nil
}

// Remove is as bridge.Keeper says. While it is at work, a process that starts the
// relay stands by.
func (s *system) Remove(ctx context.Context, of, relay string) error {
	conn, err := s.connect(ctx, "crossfade "+of+" remove")
	if err != nil {
		return err
	}
	defer conn.Close()
	id := bridge.Identity{Bridge: of, Relay: relay}
	if relay != "" {
		if err := conn.unowned(ctx, id); err != nil {
			return err
		}
	}
	own, err := conn.belongings(ctx, of)
	if err != nil {
		return err
	}
	if relay == "" {
		if err := s.unshared(of, own); err != nil {
			return err
		}
	}
	for i := range own {
		if own[i].Relay != relay {
			continue
		}
		if err := conn.remove(ctx, &own[i]); err != nil {
			return err
		}
	}
	return nil
}

// unowned refuses if a process runs the relay, and from then on answers for it.
// A process that does not answer may be one that is stopped and goes on later,
// from the first message on if its checkpoint is gone by then.
func (c *connection) unowned(ctx context.Context, id bridge.Identity) error {
	o, err := c.owner(ctx, id)
	if err != nil {
		return err
	}
	if o.there {
		return bridge.Fatal(fmt.Errorf("%s: %s: relay %s: %s runs it", Kind, c.system.name, id, o), "Stop that process first.")
	}
	if err := c.answer(id); err != nil {
		return c.failed(ctx, "answer for the relay", err)
	}
	if err := flush(ctx, c); err != nil {
		return c.failed(ctx, "answer for the relay", err)
	}
	return nil
}

// unshared refuses if relays still have something: they need what all share.
func (s *system) unshared(of string, own []belonging) error {
	var relays []string
	for i := range own {
		b := &own[i]
		if b.Relay != "" && !slices.Contains(relays, b.Relay) {
			relays = append(relays, b.Relay)
		}
	}
	if len(relays) > 0 {
		return bridge.Fatal(fmt.Errorf("%s: %s: the streams that the relays of bridge %s share: in use by %s", Kind, s.name, of, bridge.Printable(strings.Join(relays, ", "), 200)),
			"Remove those relays first.")
	}
	for i := range own {
		if b := &own[i]; b.messages > 0 {
			return bridge.Fatal(fmt.Errorf("%s: %s: stream %s: it holds %d messages that are not the bridge's", Kind, s.name, b.stream, b.messages),
				"Look at them with nats stream view "+b.stream+" and purge them if nobody needs them.")
		}
	}
	return nil
}

func (c *connection) remove(ctx context.Context, b *belonging) error {
	var err error
	switch {
	case b.consumer != "":
		if err = c.js.DeleteConsumer(ctx, b.stream, b.consumer); errors.Is(err, jetstream.ErrConsumerNotFound) {
			err = nil
		}
	case b.subject != "":
		var s jetstream.Stream
		if s, err = c.js.Stream(ctx, b.stream); err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject(b.subject))
		}
	default:
		err = c.js.DeleteStream(ctx, b.stream)
	}
	if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return c.failed(ctx, "remove "+b.Kind+" "+b.Name, err)
}

// belongings finds what is marked as the bridge's own, in the order in which it
// is to be removed.
func (c *connection) belongings(ctx context.Context, of string) ([]belonging, error) {
	var own []belonging
	list := c.js.ListStreams(ctx)
	var streams []*jetstream.StreamInfo
	for info := range list.Info() {
		streams = append(streams, info)
	}
	switch err := list.Err(); {
	case errors.Is(err, nats.ErrNoResponders) && !c.hasJetStream(), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, nil // nothing could be made here
	case err != nil:
		return nil, c.failed(ctx, "list the streams", err)
	}
	for _, info := range streams {
		found, err := c.within(ctx, of, info)
		if err != nil {
			return nil, err
		}
		own = append(own, found...)
	}
	slices.SortFunc(own, func(a, b belonging) int {
		shared := func(relay string) int {
			if relay == "" {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(shared(a.Relay), shared(b.Relay)), cmp.Compare(a.Relay, b.Relay), cmp.Compare(a.rank, b.rank), cmp.Compare(a.Name, b.Name))
	})
	return own, nil
}

func (c *connection) hasJetStream() bool {
	is, _ := c.ConnectedServerJetStream()
	return is
}

// The ranks of belongings.
const (
	rankConsumer = iota
	rankJournal
	rankCheckpoint
	rankStream
)

// within finds what is the bridge's own in a stream: the stream itself, the
// relays' records in it, and consumers.
func (c *connection) within(ctx context.Context, of string, info *jetstream.StreamInfo) ([]belonging, error) {
	var own []belonging
	name := info.Config.Name
	s, err := c.js.Stream(ctx, name)
	if err == nil && info.State.Consumers > 0 {
		list := s.ListConsumers(ctx)
		for consumer := range list.Info() {
			if m := consumer.Config.Metadata; m[metaBridge] == of {
				own = append(own, belonging{
					Holding: bridge.Holding{Relay: m[metaRelay], Kind: "consumer", Name: name + " > " + consumer.Name, Text: m[metaPurpose] + ", goes by itself when nobody reads"},
					rank:    rankConsumer, stream: name, consumer: consumer.Name,
				})
			}
		}
		err = list.Err()
	}
	if m := info.Config.Metadata; err == nil && m[metaBridge] == of {
		var records []belonging
		if records, err = c.records(ctx, of, s); err == nil {
			left := info.State.Msgs
			for i := range records {
				left -= min(left, records[i].messages)
			}
			own = append(append(own, records...), belonging{
				Holding: bridge.Holding{Relay: m[metaRelay], Kind: "stream", Name: name, Text: count(info.State.Msgs, m[metaPurpose]+" record")},
				rank:    rankStream, stream: name, messages: left,
			})
		}
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // gone in the meantime
	}
	if err != nil {
		return nil, c.failed(ctx, "stream "+name, err)
	}
	return own, nil
}

// records finds the relays' records in a stream that they share.
func (c *connection) records(ctx context.Context, of string, s jetstream.Stream) ([]belonging, error) {
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return nil, err
	}
	var own []belonging
	for subject, n := range info.State.Subjects {
		rank, relay, what := recordsAt(of, subject)
		if relay == "" || n == 0 {
			continue
		}
		own = append(own, belonging{
			Holding: bridge.Holding{Relay: relay, Kind: "records", Name: info.Config.Name + " " + subject, Text: count(n, what+" record")},
			rank:    rank, stream: info.Config.Name, subject: subject, messages: n,
		})
	}
	return own, nil
}

// recordsAt reads the subject of a record; the relay is empty if it is none.
func recordsAt(of, subject string) (rank int, relay, what string) {
	rest, ok := strings.CutPrefix(subject, "crossfade."+tokenOf(of)+".")
	if !ok {
		return 0, "", ""
	}
	tokens := strings.Split(rest, ".")
	for i, t := range tokens {
		name, err := decodeSubject(t)
		if err != nil {
			return 0, "", ""
		}
		tokens[i] = name
	}
	switch {
	case len(tokens) == 2 && tokens[0] == purposeCheckpoint:
		return rankCheckpoint, tokens[1], purposeCheckpoint
	case len(tokens) == 3 && tokens[0] == purposeJournal:
		return rankJournal, tokens[1], tokens[2] + " journal"
	}
	return 0, "", ""
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
