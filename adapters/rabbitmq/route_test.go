package rabbitmq

import (
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Every tap delivers in order what was published to the exchange, and every
// target takes it in order.
func TestEveryTapToEveryTarget(t *testing.T) {
	t.Parallel()
	n := sharedNode(t)
	for _, tap := range []string{typeQuorum, typeClassic, typeStream} {
		for _, to := range []string{typeQuorum, typeClassic, typeStream, toExchange} {
			t.Run(tap+" to "+to, func(t *testing.T) {
				s := n.open(t)
				id := n.identity(t)
				from := n.exchange(t, unique(t), "topic")
				tapOpener := n.source(t, s, id, "tap: "+tap+"\naccept: [stream-headers, priorities]\nbindings: [{exchange: "+from+", routing_key: '#'}]")
				src, err := tapOpener.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer src.Close()
				target := unique(t)
				block := "queue: " + target + "\ntype: " + to
				switch to {
				case typeStream:
					block = "stream: " + n.queue(t, target, to)
				case toExchange:
					n.exchange(t, target, "topic")
					q := n.queue(t, unique(t), typeQuorum)
					if err := n.channel(t).QueueBind(q, "#", target, false, nil); err != nil {
						t.Fatal(err)
					}
					block = "exchange: " + target
				default:
					n.queue(t, target, to)
				}
				var log settleLog
				lane := openLane(t, n.sink(t, s, id, block), &log)

				const count = 500
				var msgs []publishing
				for i := range count {
					msgs = append(msgs, publishing{fmt.Sprintf("metric.%d", i%7), amqp.Publishing{
						MessageId: fmt.Sprint("id-", i), Body: fmt.Append(nil, "body ", i), Headers: amqp.Table{"n": int64(i)},
					}})
				}
				n.publish(t, from, msgs...)
				got := receive(t, src, count)
				for i, d := range got {
					if string(d.Body) != fmt.Sprint("body ", i) || d.Address != (bridge.Address{Space: from, Name: msgs[i].key}) {
						t.Fatalf("delivery %d: %q to %v", i, d.Body, d.Address)
					}
					if h, ok := d.Header("n"); !ok || h.Type != bridge.TypeInt64 || len(d.Headers) != 1 {
						t.Fatalf("delivery %d: headers %v", i, d.Headers)
					}
				}
				ms := make([]bridge.Message, count)
				for i := range got {
					ms[i] = got[i].Message
					ms[i].ID = bridge.ID{Value: fmt.Sprint("id-", i)}
					ms[i].Key = ms[i].Address.Name
				}
				if k, err := lane.Send(t.Context(), pointers(ms)); k != count || err != nil {
					t.Fatalf("sent %d: %v", k, err)
				}
				log.await(t, count)
				if err := src.Ack(t.Context(), receipts(got)); err != nil {
					t.Fatal(err)
				}
				if b, ok := src.(bridge.Backlogger); ok {
					eventually(t, "backlog is empty", func() bool {
						left, err := b.Backlog(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						return left.Messages == 0
					})
				}
				start := time.Now()
				if err := src.Close(); err != nil || time.Since(start) > 2*time.Second {
					t.Fatalf("close: %v after %v", err, time.Since(start))
				}
			})
		}
	}
}
