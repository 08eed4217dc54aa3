package nats

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// benchServer starts a server whose log of a testing.B is that of a test.
func benchServer(b *testing.B) *testServer {
	b.Helper()
	s := &testServer{opts: server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: b.TempDir(), NoLog: true, NoSigs: true}}
	s.start(b)
	b.Cleanup(s.stop)
	return s
}

func telemetry(n int) []*bridge.Message {
	body := bytes.Repeat([]byte("x"), 200)
	msgs := make([]*bridge.Message, n)
	for i := range msgs {
		key := "plant.line." + strconv.Itoa(i%10000)
		msgs[i] = &bridge.Message{
			Key: key, ID: bridge.ID{Value: "id-" + strconv.Itoa(i)}, Address: bridge.Address{Name: key}, Body: body, Time: time.Unix(0, 1_700_000_000_000_000_000+int64(i)),
			Origin: bridge.Origin{Stream: &bridge.Stream{System: "nats", Cluster: "standalone", Name: "A", Incarnation: "2026-11-23T04:00:00.123456789Z", Replayable: true}, Offset: uint64(i)},
		}
	}
	return msgs
}

// BenchmarkSink sends telemetry into a stream with the window full.
func BenchmarkSink(b *testing.B) {
	for _, shared := range []bool{false, true} {
		b.Run(fmt.Sprint("shared=", shared), func(b *testing.B) {
			s := benchServer(b)
			_, js := s.client(b)
			makeStream(b, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
			sink, err := s.system(b).to(b, SinkConfig{Stream: "B", Subject: "b.{address}", Shared: shared}).Open(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			var done atomic.Int64
			ended := make(chan error, 1)
			l, err := sink.Open(context.Background(), 0, func(n int, _ []bridge.Placement, err error) {
				if done.Add(int64(n)); err != nil || done.Load() == int64(b.N) {
					ended <- err
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			msgs := telemetry(b.N)
			b.ReportAllocs()
			b.ResetTimer()
			for len(msgs) > 0 {
				n, err := l.Send(context.Background(), msgs[:min(512, len(msgs))])
				if err != nil {
					b.Fatal(err)
				}
				msgs = msgs[n:]
			}
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.Close()
			sink.Close()
		})
	}
}

// BenchmarkPlainPublish is what the sink is compared with: the same client, the
// same dedup header, no fence, no hop headers, own inbox.
func BenchmarkPlainPublish(b *testing.B) {
	s := benchServer(b)
	nc, js := s.client(b)
	makeStream(b, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}})
	inbox := nats.NewInbox()
	acks := make(chan *nats.Msg, 8192)
	if _, err := nc.ChanSubscribe(inbox, acks); err != nil {
		b.Fatal(err)
	}
	msgs := telemetry(b.N)
	b.ReportAllocs()
	b.ResetTimer()
	inFlight := 0
	for i, m := range msgs {
		for ; inFlight == 4096; inFlight-- {
			<-acks
		}
		h := nats.Header{"Nats-Msg-Id": {"id-" + strconv.Itoa(i)}}
		if err := nc.PublishMsg(&nats.Msg{Subject: "b." + m.Address.Name, Reply: inbox, Header: h, Data: m.Body}); err != nil {
			b.Fatal(err)
		}
		inFlight++
	}
	for ; inFlight > 0; inFlight-- {
		<-acks
	}
}

// BenchmarkSource reads telemetry and acknowledges it in batches.
func BenchmarkSource(b *testing.B) {
	for _, hop := range []bool{false, true} {
		b.Run(fmt.Sprint("hop=", hop), func(b *testing.B) {
			s := benchServer(b)
			nc, js := s.client(b)
			makeStream(b, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
			fill(b, nc, js, b.N, hop)
			src, err := s.system(b).from(b, SourceConfig{Stream: "A"}).Open(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			defer src.Close()
			b.ReportAllocs()
			b.ResetTimer()
			into, receipts := make([]bridge.Delivery, 512), make([]bridge.Receipt, 0, 512)
			for got := 0; got < b.N; {
				n, err := src.Receive(context.Background(), into)
				if err != nil {
					b.Fatal(err)
				}
				receipts = receipts[:0]
				for i := range into[:n] {
					receipts = append(receipts, into[i].Receipt)
				}
				if err := src.Ack(context.Background(), receipts); err != nil {
					b.Fatal(err)
				}
				got += n
			}
		})
	}
}

func fill(b *testing.B, nc *nats.Conn, js jetstream.JetStream, n int, hop bool) {
	b.Helper()
	t, err := bridge.ParseTemplate("a.{address}")
	if err != nil {
		b.Fatal(err)
	}
	e := newEncoder(testIdentity, t)
	for i, m := range telemetry(n) {
		msg := &nats.Msg{Subject: "a." + m.Address.Name, Header: nats.Header{"Nats-Msg-Id": {"id-" + strconv.Itoa(i)}}, Data: m.Body}
		if hop {
			if msg, err = e.encode(m, nil); err != nil {
				b.Fatal(err)
			}
		}
		if i%1000 == 999 || i == n-1 { // wait for the stream now and then
			_, err = js.PublishMsg(context.Background(), msg)
		} else {
			err = nc.PublishMsg(msg)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFilteredSource reads every second message of a stream, so that each
// comes behind a jump.
func BenchmarkFilteredSource(b *testing.B) {
	s := benchServer(b)
	nc, js := s.client(b)
	makeStream(b, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	body := bytes.Repeat([]byte("x"), 200)
	for i := range 2 * b.N {
		subject := "a." + strconv.Itoa(i%2)
		var err error
		if i%1000 == 999 || i == 2*b.N-1 { // wait for the stream now and then
			_, err = js.Publish(context.Background(), subject, body)
		} else {
			err = nc.Publish(subject, body)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	src, err := s.system(b).from(b, SourceConfig{Stream: "A", Subjects: []string{"a.0"}}).Open(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	b.ReportAllocs()
	b.ResetTimer()
	into, receipts := make([]bridge.Delivery, 512), make([]bridge.Receipt, 0, 512)
	for got := 0; got < b.N; {
		n, err := src.Receive(context.Background(), into)
		if err != nil {
			b.Fatal(err)
		}
		receipts = receipts[:0]
		for i := range into[:n] {
			receipts = append(receipts, into[i].Receipt)
		}
		if err := src.Ack(context.Background(), receipts); err != nil {
			b.Fatal(err)
		}
		got += n
	}
}
