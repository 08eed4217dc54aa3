package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"
)

// A setAside is a message as the journal has it.
type setAside struct {
	ref, key, id, reason string
	hold                 bool
	body                 []byte
}

// A heldJournal is what this package reads of a relay's journal, record by record.
type heldJournal struct {
	open    map[string][]byte // by group, what came of it so far
	all     []setAside        // in the order in which they were stored
	settled map[string]string // by ref, what a note said of it in the end
}

// waiting are those that are neither placed nor discarded.
func (j *heldJournal) waiting() (out []setAside) {
	for _, x := range j.all {
		if j.settled[x.ref] == "" {
			out = append(out, x)
		}
	}
	return out
}

// add reads one record: "CFP1" group(8) part(4) parts(4), then a piece of items,
// each length(4), a line of JSON, the body.
func (j *heldJournal) add(t testing.TB, record []byte) {
	t.Helper()
	const head = 4 + 8 + 4 + 4
	if len(record) < head || string(record[:4]) != "CFP1" {
		t.Fatalf("the journal holds a strange record of %d octets", len(record))
	}
	group := fmt.Sprintf("%x", record[4:12])
	part, parts := binary.BigEndian.Uint32(record[12:]), binary.BigEndian.Uint32(record[16:])
	if part == 0 {
		j.open[group] = nil
	}
	j.open[group] = append(j.open[group], record[head:]...)
	if part+1 < parts {
		return
	}
	rest := j.open[group]
	delete(j.open, group)
	for i := 0; len(rest) > 0; i++ {
		if len(rest) < 4 || uint64(len(rest)-4) < uint64(binary.BigEndian.Uint32(rest)) {
			t.Fatalf("the journal's record %s is cut short", group)
		}
		end := 4 + int(binary.BigEndian.Uint32(rest))
		j.item(t, fmt.Sprintf("%s.%d", group, i), rest[4:end])
		rest = rest[end:]
	}
}

func (j *heldJournal) item(t testing.TB, ref string, b []byte) {
	t.Helper()
	line, body, _ := bytes.Cut(b, []byte{'\n'})
	var in struct {
		Note, Reason, ID string
		Refs             []string
		Hold             bool
		Key              []byte
	}
	if err := json.Unmarshal(line, &in); err != nil {
		t.Fatalf("the journal's item %s: %v", ref, err)
	}
	switch in.Note {
	case "placed", "discarded":
		for _, of := range in.Refs {
			j.settled[of] = in.Note
		}
	case "":
		j.all = append(j.all, setAside{ref, string(in.Key), producersID(t, in.ID), in.Reason, in.Hold, bytes.Clone(body)})
	}
}

// producersID is the last part of kp~KEY~VALUE.
func producersID(t testing.TB, text string) string {
	t.Helper()
	parts := strings.Split(text, "~")
	id, err := url.PathUnescape(parts[len(parts)-1])
	if len(parts) != 3 || parts[0] != "kp" || err != nil {
		t.Fatalf("%q is not a producer's ID in the scope of a key (%v)", text, err)
	}
	return id
}

// journalOf reads the journal of a relay where its incumbent keeps it.
func (s *scene) journalOf(r *relay) *heldJournal {
	s.t.Helper()
	j := &heldJournal{open: map[string][]byte{}, settled: map[string]string{}}
	if s.source == s.nats {
		s.eachAtNATS(r, func(record []byte) { j.add(s.t, record) })
	} else {
		s.eachAtRabbitMQ(r, func(record []byte) { j.add(s.t, record) })
	}
	return j
}

// eachAtRabbitMQ reads the stream crossfade.BRIDGE.RELAY.parked.
func (s *scene) eachAtRabbitMQ(r *relay, f func([]byte)) {
	s.t.Helper()
	ch := channel(s.t, s.rabbit)
	defer ch.Close()
	if err := ch.Qos(100, 0, false); err != nil {
		s.t.Fatal(err)
	}
	name := strings.Join([]string{"crossfade", s.name, r.name, "parked"}, ".")
	deliveries, err := ch.Consume(name, "", false, false, false, false, amqp.Table{"x-stream-offset": "first"})
	if err != nil {
		s.t.Fatal(err)
	}
	records := map[string][]byte{} // of several messages: CorrelationId is its part, "0/2"
	for {
		select {
		case d, ok := <-deliveries:
			if !ok {
				s.t.Fatal("the connection to the journal is lost")
			}
			if d.Type == "crossfade-part" {
				records[d.MessageId] = append(records[d.MessageId], d.Body...)
				if i, n, _ := strings.Cut(d.CorrelationId, "/"); next(i) == n {
					f(records[d.MessageId])
					delete(records, d.MessageId)
				}
			}
			if err := d.Ack(false); err != nil {
				s.t.Fatal(err)
			}
		case <-time.After(2 * time.Second): // a stream does not say where it ends
			return
		}
	}
}

// eachAtNATS reads the bridge's journal stream, of which the relay has a subject.
func (s *scene) eachAtNATS(r *relay, f func([]byte)) {
	s.t.Helper()
	withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error {
		stream, err := js.Stream(ctx, "CROSSFADE-JOURNAL_"+s.name)
		if err != nil {
			return err
		}
		last := stream.CachedInfo().State.LastSeq
		consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		for seq := uint64(0); seq < last; {
			m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
			if err != nil {
				return err
			}
			at, err := m.Metadata()
			if err != nil {
				return err
			}
			if seq = at.Sequence.Stream; strings.HasSuffix(m.Subject(), "."+r.name+".parked") {
				f(m.Data())
			}
		}
		return nil
	})
}
