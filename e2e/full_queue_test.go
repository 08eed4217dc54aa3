package e2e

import (
	"context"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A classic queue that is full refuses messages in the middle of others that it
// takes. Whatever comes later of a key has to wait for the refused one.
func TestFullQueueRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, g generation) {
		s := newScene(t, g, "JetStream → RabbitMQ, a classic queue of 200 messages that refuses more")
		s.sizedLoad(ledger.Keys100, sized(8_000, 100_000), 2000)
		fullQueue(s)
		s.expectNothingWrong()
	})
}

// fullQueue reads the queue slowly for as long as the load goes on.
func fullQueue(s *scene) {
	t := s.t
	s.fromJetStream()
	to := s.name + "-full"
	s.addQueue(to, classic, amqp.Table{"x-max-length": int32(200), "x-overflow": "reject-publish"})
	reader := &ledger.RabbitMQReader{URL: s.rabbit, Queue: to, Rate: 1500}
	s.relays = append(s.relays, &relay{
		name: "to-full", from: "{system: jet, stream: " + s.name + "}", to: "{system: rabbit, queue: " + to + ", type: classic}",
		more: "id: {header: " + ledger.IDHeader + "}", book: &ledger.Book{Subject: func(string) string { return to }},
		reader: reader, repeats: true,
	})
	s.begin()
	reading, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reader.Read(reading, s.book()) }()
	await(t, 10*patience, "the load produced", func() bool { return s.book().Produced() >= s.least })
	st, err := s.bridge.status()
	if err != nil || st.Relays[0].Retries < 3 {
		t.Errorf("the queue refused only %+v (%v); the story wants three refusals at least", st, err)
	} else {
		for range st.Relays[0].Retries {
			s.note("refusal")
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	reader.Rate = 0
	s.finish()
}
