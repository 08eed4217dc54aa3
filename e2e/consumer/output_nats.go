package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A natsOutput publishes to the subjects PREFIX.METRIC of a JetStream stream, which
// itself drops what comes again within its window of duplicates.
type natsOutput struct {
	url, prefix string

	conn *nats.Conn
	js   jetstream.JetStream
}

func (o *natsOutput) open(ctx context.Context) (err error) {
	if o.conn, o.js, err = dialNATS(o.url); err != nil {
		return err
	}
	if _, err := o.js.StreamNameBySubject(ctx, o.prefix+".>"); err != nil {
		return fmt.Errorf("nats: a stream that takes %s.> has to be there: %w", o.prefix, err)
	}
	return nil
}

func (o *natsOutput) publish(ctx context.Context, all []message) error {
	acks := make([]jetstream.PubAckFuture, 0, len(all))
	for _, m := range all {
		msg := nats.NewMsg(subject(o.prefix, m.Key))
		msg.Header.Set(jetstream.MsgIDHeader, m.ID)
		msg.Header.Set("Content-Type", "application/json")
		msg.Data = m.Body
		// A second attempt of the client's own would come after later messages.
		ack, err := o.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0), jetstream.WithStallWait(patience))
		if err != nil {
			return fmt.Errorf("nats: publish to %s: %w", msg.Subject, err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("nats: publish to %s: %w", ack.Msg().Subject, err)
		case <-ctx.Done():
			return fmt.Errorf("nats: publish to %s: %w", ack.Msg().Subject, ctx.Err())
		}
	}
	return nil
}

// subject is where the results of a metric go: its name behind the prefix, or the
// name with octets as %XX, in one token, where it cannot be part of a subject.
func subject(prefix, metric string) string {
	escaped := url.PathEscape(metric)
	if escaped != metric || strings.Contains("."+metric+".", "..") {
		metric = strings.ReplaceAll(escaped, ".", "%2E")
	}
	return prefix + "." + metric
}

func (o *natsOutput) close() {
	if o.conn != nil {
		o.conn.Close()
	}
}
