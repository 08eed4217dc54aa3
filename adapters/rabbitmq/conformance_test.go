package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/e2e/brokers"
)

// The suite runs on brokers of its own, one for each kind of tap, which it restarts in
// an orderly way: RabbitMQ 3.10 forgets a quorum queue that was made within the last
// second before a kill -9. With -short, and where the exchange target is proven, whose
// source is the quorum tap again, it is the broker that tests share.
func TestConformance(t *testing.T) {
	kinds := []string{typeQuorum, typeClassic, typeStream, toExchange}
	sites := map[string]site{}
	for _, kind := range kinds {
		if testing.Short() || kind == toExchange {
			sites[kind] = site{url: brokers.RabbitMQ(t)}
			continue
		}
		server := brokers.PrivateRabbitMQ(t)
		sites[kind] = site{server: server, url: server.URL()}
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			at := sites[kind]
			h := adaptertest.Harness{
				Name:     "rabbitmq, " + kind + " tap, " + kind + " target",
				New:      func(t adaptertest.T) adaptertest.Fixture { return newPlace(t, at, kind).fixture() },
				Patience: 15 * time.Second,
			}
			if kind == toExchange {
				h.Name = "rabbitmq, exchange target"
			}
			h.Name += ", RabbitMQ " + generationOf(t, at.url)
			adaptertest.Run(t, h)
		})
	}
}

// generationOf names the version that the broker says of itself, without its patch.
func generationOf(t *testing.T, url string) string {
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := brokerOf(conn.Properties, "/")
	return b.version[:max(0, strings.LastIndexByte(b.version, '.'))]
}

// A site is a broker that the suite may restart, or may not where server is nil.
type site struct {
	url    string
	server *brokers.Server
}

// A place is the topology of one check.
type place struct {
	t      adaptertest.T
	at     site
	kind   string // of tap and target
	id     bridge.Identity
	in     string // the exchange that is tapped
	target string // the queue or stream behind the sink
	out    string // the exchange of an exchange target

	mu   sync.Mutex
	kept []bridge.Message // what has been read of a queue
	from int64            // the next offset to be read of a stream
}

func newPlace(t adaptertest.T, at site, kind string) *place {
	name := unique(t)
	p := &place{t: t, at: at, kind: kind, id: bridge.Identity{Bridge: name, Relay: "relay"}, in: "in-" + name, target: "target-" + name}
	t.Cleanup(p.remove)
	p.declare(func(ch *amqp.Channel) error {
		if err := ch.ExchangeDeclare(p.in, "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if kind != toExchange {
			_, err := ch.QueueDeclare(p.target, true, false, false, false, amqp.Table{"x-queue-type": kind})
			return err
		}
		p.out = "out-" + name
		if err := ch.ExchangeDeclare(p.out, "topic", true, false, false, false, nil); err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(p.target, true, false, false, false, amqp.Table{"x-queue-type": typeQuorum}); err != nil {
			return err
		}
		return ch.QueueBind(p.target, "#", p.out, false, nil)
	})
	return p
}

func (p *place) declare(f func(*amqp.Channel) error) {
	p.t.Helper()
	conn, err := amqp.Dial(p.at.url)
	if err != nil {
		p.t.Fatalf("dial: %v", err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err == nil {
		err = f(ch)
	}
	if err != nil {
		p.t.Fatalf("declare: %v", err)
	}
}

// names are the queues and streams that the check and its relays make.
func (p *place) names() []string {
	names := []string{p.target, recordName(p.id.Bridge)}
	for _, id := range []bridge.Identity{p.id, p.second()} {
		for _, block := range []string{p.tap(p.in), "stream: " + p.target} {
			c := sourceSettings{}
			if err := settings(block)(&c); err != nil || c.validate() != nil {
				p.t.Fatalf("settings %q", block)
			}
			names = append(names, tapName(id, &c), tapName(id, &c, "dropped"), tapName(id, &c, "offsets"))
		}
		for _, journal := range []string{"checks", "others"} {
			names = append(names, ownName(id.Bridge, id.Relay, journal))
		}
	}
	return names
}

// second is another relay of the same bridge.
func (p *place) second() bridge.Identity {
	return bridge.Identity{Bridge: p.id.Bridge, Relay: p.id.Relay + " two"}
}

func (p *place) remove() {
	p.declare(func(ch *amqp.Channel) error {
		for _, name := range p.names() {
			if _, err := ch.QueueDelete(name, false, false, false); err != nil {
				return err
			}
		}
		for _, name := range []string{p.in, p.out} {
			if name == "" {
				continue
			}
			if err := ch.ExchangeDelete(name, false, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *place) fixture() adaptertest.Fixture {
	f := adaptertest.Fixture{
		Start:   func(t adaptertest.T) adaptertest.Process { return p.process(t, p.tap(p.in), p.to()) },
		Loop:    p.loop,
		Missing: func(t adaptertest.T) adaptertest.Process { return p.process(t, p.tap("none-"+p.target), p.nowhere()) },
		Put:     p.put,
		Identify: func(d *bridge.Delivery) {
			id, _ := d.Property(bridge.KindMessageID)
			d.Key, d.ID = d.Address.Name, bridge.ID{Value: id.Text}
		},
		Read:     p.read,
		Identity: p.id,
		Other: func(t adaptertest.T) adaptertest.Process {
			return p.processOf(t, p.second(), p.tap(p.in), p.to())
		},
		Keeper: func(t adaptertest.T) bridge.Keeper { return p.system(t) },
	}
	if p.at.server != nil {
		f.Restart = p.restart
	}
	return f
}

// restart restarts the broker and waits until the queues that are there answer:
// for a moment after its start RabbitMQ says that their home node is down.
func (p *place) restart(ctx context.Context) error {
	if err := p.at.server.Restart(ctx); err != nil {
		return err
	}
	conn, err := amqp.Dial(p.at.url)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, name := range p.names() {
		for {
			ch, err := conn.Channel()
			if err != nil {
				return err
			}
			if _, err = ch.QueueDeclarePassive(name, true, false, false, false, nil); err == nil || missing(err) {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	return nil
}

func (p *place) tap(exchange string) string {
	kind := p.kind
	if kind == toExchange {
		kind = typeQuorum
	}
	return fmt.Sprintf("tap: %s\nbindings: [{exchange: %q, routing_key: '#'}]\naccept: [stream-headers, priorities]", kind, exchange)
}

func (p *place) to() string {
	switch p.kind {
	case typeStream:
		return "stream: " + p.target
	case toExchange:
		return "exchange: " + p.out
	}
	return "queue: " + p.target + "\ntype: " + p.kind
}

func (p *place) nowhere() string {
	switch p.kind {
	case typeStream:
		return "stream: none-" + p.target
	case toExchange:
		return "exchange: none-" + p.target
	}
	return "queue: none-" + p.target + "\ntype: " + p.kind
}

// loop reads a target of its own: a stream beside others, a queue in competition.
func (p *place) loop(t adaptertest.T) adaptertest.Process {
	p = newPlace(t, p.at, p.kind)
	switch p.kind {
	case typeStream:
		return p.process(t, "stream: "+p.target, p.to())
	case toExchange:
		return p.process(t, p.tap(p.out), p.to())
	}
	return p.process(t, "queue: "+p.target+"\ncompetes: true", p.to())
}

// process makes a process of the bridge, whose connections Kill cuts.
func (p *place) process(t adaptertest.T, from, to string) adaptertest.Process {
	t.Helper()
	return p.processOf(t, p.id, from, to)
}

func (p *place) system(t adaptertest.T) *system {
	t.Helper()
	s, err := newSystem("test", settings("url: "+p.at.url+"\nmax_message: 262144"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

func (p *place) processOf(t adaptertest.T, id bridge.Identity, from, to string) adaptertest.Process {
	t.Helper()
	s := p.system(t)
	var mu sync.Mutex
	var sessions []*session
	dead := false
	s.connected = func(n *session) {
		mu.Lock()
		defer mu.Unlock()
		if sessions = append(sessions, n); dead {
			_ = n.sock.Close()
		}
	}
	source, err := s.Source(id, settings(from))
	if err != nil {
		t.Fatalf("%v", err)
	}
	sink, err := s.Sink(id, settings(to))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return adaptertest.Process{Source: source, Sink: sink, Kill: func() {
		mu.Lock()
		defer mu.Unlock()
		dead = true
		for _, n := range sessions {
			_ = n.sock.Close()
		}
	}}
}

func (p *place) put(ctx context.Context, msgs []bridge.Message) error {
	n := node{url: p.at.url}
	var ps []publishing
	for i := range msgs {
		ps = append(ps, publishing{msgs[i].Key, amqp.Publishing{MessageId: msgs[i].ID.Value, Body: msgs[i].Body}})
	}
	return n.put(ctx, p.in, ps...)
}

// read takes everything out of a queue, or reads a stream on.
func (p *place) read(ctx context.Context) ([]bridge.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn, err := amqp.Dial(p.at.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	if p.kind == typeStream {
		err = p.readStream(ctx, conn, ch)
	} else {
		err = p.readQueue(ch)
	}
	return append([]bridge.Message(nil), p.kept...), err
}

func (p *place) readQueue(ch *amqp.Channel) error {
	for {
		d, ok, err := ch.Get(p.target, true)
		if err != nil || !ok {
			return err
		}
		if err := p.keep(d); err != nil {
			return err
		}
	}
}

// readStream writes a mark, as a stranger would, and reads on to that.
func (p *place) readStream(ctx context.Context, conn *amqp.Connection, ch *amqp.Channel) error {
	mark := token()
	pub, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := pub.PublishWithContext(ctx, "", p.target, true, false, amqp.Publishing{Type: "mark", MessageId: mark}); err != nil {
		return err
	}
	if err := ch.Qos(500, 0, false); err != nil {
		return err
	}
	ds, err := ch.ConsumeWithContext(ctx, p.target, "", false, false, false, false, amqp.Table{"x-stream-offset": p.from})
	if err != nil {
		return err
	}
	for d := range ds {
		if err := d.Ack(false); err != nil {
			return err
		}
		p.from = d.Headers["x-stream-offset"].(int64) + 1
		if d.Type != "mark" {
			if err := p.keep(d); err != nil {
				return err
			}
		} else if d.MessageId == mark {
			return nil
		}
	}
	return fmt.Errorf("the stream's reader ended: %w", errors.Join(amqp.ErrClosed, context.Cause(ctx)))
}

// keep notes a message as the client library sees it.
func (p *place) keep(d amqp.Delivery) error {
	m := bridge.Message{Body: d.Body}
	if hop, ok := d.Headers[bridge.HopID].(string); ok {
		id, key, err := bridge.ParseID(hop)
		if err != nil {
			return err
		}
		m.ID, m.Key = id, key
	}
	p.kept = append(p.kept, m)
	return nil
}
