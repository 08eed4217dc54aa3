package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Provision is as bridge.Provisioner says. Streams are made on disk, with limits
// retention, and drop their oldest at a limit. What is made carries no metadata of
// the bridge's, so it is the operator's and no removal finds it.
func (s *system) Provision(ctx context.Context, objects []bridge.Object) error {
	conn, err := s.connect(ctx, "crossfade provision")
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range objects {
		o := &objects[i]
		switch {
		case o.Role == bridge.RoleLog && o.Kind == kindStream:
			err = conn.makeStream(ctx, o)
		case o.Role == bridge.RoleReader && o.Kind == kindConsumer:
			err = conn.makeConsumer(ctx, o)
		default:
			err = fmt.Errorf("there is no %s at NATS", o.Kind)
		}
		if err != nil {
			return conn.failed(ctx, "make "+o.Kind+" "+o.Name, err)
		}
	}
	return nil
}

func spelled(all []bridge.Pattern) (out []string, err error) {
	for _, p := range all {
		subject, ok := p.Subject()
		if !ok {
			return nil, fmt.Errorf("pattern %q is no subject", p)
		}
		out = append(out, subject)
	}
	return out, nil
}

func (c *connection) makeStream(ctx context.Context, o *bridge.Object) error {
	if _, err := c.js.Stream(ctx, o.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err // it is there, or it cannot be seen
	}
	cfg := jetstream.StreamConfig{Name: o.Name, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld}
	var err error
	if cfg.Subjects, err = spelled(o.Takes); err != nil {
		return err
	}
	for _, s := range o.Settings {
		switch s.Name {
		case "max_age":
			cfg.MaxAge = time.Duration(s.N)
		case "max_msgs":
			cfg.MaxMsgs = s.N
		case "max_bytes":
			cfg.MaxBytes = s.N
		case "max_msg_size":
			cfg.MaxMsgSize = int32(min(s.N, 1<<31-1))
		case "max_consumers":
			cfg.MaxConsumers = int(s.N)
		case "num_replicas":
			cfg.Replicas = int(s.N)
		case "duplicate_window":
			cfg.Duplicates = time.Duration(s.N)
		case "discard":
			cfg.Discard = jetstream.DiscardNew
		case "compression":
			cfg.Compression = jetstream.S2Compression
		default:
			return fmt.Errorf("setting %s is not known for a stream", s.Name)
		}
	}
	_, err = c.js.CreateStream(ctx, cfg)
	return err
}

func (c *connection) makeConsumer(ctx context.Context, o *bridge.Object) error {
	s, err := c.js.Stream(ctx, o.From)
	if err != nil {
		return err
	}
	if _, err := s.Consumer(ctx, o.Name); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err // it is there, or it cannot be seen
	}
	cfg := jetstream.ConsumerConfig{Durable: o.Name, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy}
	filters, err := spelled(o.Takes)
	if err != nil {
		return err
	}
	if len(filters) == 1 {
		cfg.FilterSubject = filters[0] // which servers before 2.10 know too
	} else {
		cfg.FilterSubjects = filters
	}
	for _, x := range o.Settings {
		switch x.Name {
		case "max_deliver":
			cfg.MaxDeliver = int(x.N)
		case "inactive_threshold":
			cfg.InactiveThreshold = time.Duration(x.N)
		case "ack_wait":
			cfg.AckWait = time.Duration(x.N)
		case "max_ack_pending":
			cfg.MaxAckPending = int(x.N)
		case "num_replicas":
			cfg.Replicas = int(x.N)
		case "ack_policy":
			if cfg.AckPolicy = jetstream.AckNonePolicy; x.Value == jetstream.AckAllPolicy.String() {
				cfg.AckPolicy = jetstream.AckAllPolicy
			}
		default:
			return fmt.Errorf("setting %s is not known for a consumer", x.Name)
		}
	}
	_, err = s.CreateConsumer(ctx, cfg)
	return err
}
