package rabbitmq

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

func telemetry(n int) []bridge.Message {
	ms := make([]bridge.Message, n)
	body := make([]byte, 200)
	for i := range ms {
		key := fmt.Sprintf("plant.line-%d.temperature", i%1000)
		ms[i] = bridge.Message{
			Key: key, ID: bridge.ID{Value: fmt.Sprintf("id-%012d", i)}, Address: bridge.Address{Space: "telemetry", Name: key},
			Body: body, Properties: []bridge.Property{{Kind: bridge.KindDeliveryMode, Num: 2}},
		}
		ms[i].Properties = append(ms[i].Properties, bridge.Property{Kind: bridge.KindMessageID, Text: ms[i].ID.Value})
	}
	return ms
}

func BenchmarkEncode(b *testing.B) {
	for name, target := range kinds() {
		b.Run(name, func(b *testing.B) {
			e := testEncoder(target)
			ms := telemetry(1000)
			var dst []byte
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				var err error
				if dst, err = e.append(dst[:0], &ms[i%len(ms)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	body := make([]byte, 200)
	props := []byte{0x30, 0, 0, 0, 0, 0, 2} // headers, delivery mode
	d := delivery{tag: 1, exchange: []byte("telemetry"), key: []byte("plant.line-1.temperature"), props: props, body: body}
	var c decoder
	var into bridge.Delivery
	b.ReportAllocs()
	for b.Loop() {
		c.decode(&d, 1, &into)
	}
}

// BenchmarkPublish is a lane into each type of target on a real broker.
func BenchmarkPublish(b *testing.B) {
	n := sharedNode(b)
	for _, kind := range []string{typeQuorum, typeClassic, typeStream} {
		b.Run(kind, func(b *testing.B) {
			q := unique(b)
			if _, err := n.channel(b).QueueDeclare(q, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
				b.Fatal(err)
			}
			n.deleteLater(b, q)
			block := "queue: " + q + "\ntype: " + kind
			if kind == typeStream {
				block = "stream: " + q
			}
			var log settleLog
			lane := openLane(b, n.sink(b, n.open(b), n.identity(b), block), &log)
			const count, batch = 100_000, 64
			ms := pointers(telemetry(count))
			used := cpu(b)
			begin := time.Now()
			for at := 0; at < count; at += batch {
				if _, err := lane.Send(b.Context(), ms[at:min(count, at+batch)]); err != nil {
					b.Fatal(err)
				}
			}
			log.await(b, count)
			rates(b, count, time.Since(begin), cpu(b)-used)
		})
	}
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rates reports what a count of messages took, in place of the time per round:
// a round is the whole benchmark.
func rates(b *testing.B, count int, took, used time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(count)/took.Seconds(), "msg/s")
	b.ReportMetric(used.Seconds()*1e6/float64(count), "cpu-s/M")
}

// BenchmarkConsume is a source of each type on a real broker.
func BenchmarkConsume(b *testing.B) {
	n := sharedNode(b)
	for _, kind := range []string{typeQuorum, typeClassic, typeStream} {
		b.Run(kind, func(b *testing.B) {
			const count = 100_000
			q := unique(b)
			if _, err := n.channel(b).QueueDeclare(q, true, false, false, false, amqp.Table{"x-queue-type": kind}); err != nil {
				b.Fatal(err)
			}
			n.deleteLater(b, q)
			to, from := "queue: "+q+"\ntype: "+kind, "queue: "+q+"\ncompetes: true"
			if kind == typeStream {
				to, from = "stream: "+q, "stream: "+q+"\nstart: first"
			}
			var log settleLog
			lane := openLane(b, n.sink(b, n.open(b), n.identity(b), to), &log)
			if _, err := lane.Send(b.Context(), pointers(telemetry(count))); err != nil {
				b.Fatal(err)
			}
			log.await(b, count)
			_ = lane.Close()
			o := n.source(b, n.open(b), n.identity(b), from)
			n.deleteLater(b, tapName(o.id, &o.settings, "offsets"))
			src, err := o.Open(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			into := make([]bridge.Delivery, 256)
			rs := make([]bridge.Receipt, 256)
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			used := cpu(b)
			begin := time.Now()
			for got := 0; got < count; {
				k, err := src.Receive(ctx, into)
				if err != nil {
					b.Fatal(err)
				}
				for i := range k {
					rs[i] = into[i].Receipt
				}
				if err := src.Ack(ctx, rs[:k]); err != nil {
					b.Fatal(err)
				}
				got += k
			}
			rates(b, count, time.Since(begin), cpu(b)-used)
		})
	}
}
