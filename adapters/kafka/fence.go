package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A fence is a transaction with nothing in it. Each partition has a transactional
// ID of its own, which is the same in every session and every process of the relay:
//
//	InitProducerID      the next epoch of the ID's producer
//	AddPartitionsToTxn
//	EndTxn, abort       the partition's log gets a marker of that epoch
//
// From the marker on the partition's leader refuses batches of older epochs with
// InvalidProducerEpoch, whatever process they were held up in (ProducerStateManager;
// KIP-98, "Fencing Zombies"). It stands in the log a little after EndTxn has
// answered, so the fence is up once it has been read back. What follows is sent as
// plain idempotent batches of that epoch, from sequence 0.
//
// A producer's epochs end. The coordinator then gives the transactional ID another
// producer, for which markers fence off nothing of the one before. So a session that
// is given the last epoch but one does not use it: it begins its transaction and
// asks again, whereupon the coordinator aborts that transaction with a marker of the
// very last epoch, which no session ever has, and then hands out the new producer
// (TransactionCoordinator.prepareInitProducerIdTransit, TransactionMetadata.
// prepareFenceProducerEpoch and isProducerEpochExhausted).

// lastEpoch is the largest that a coordinator hands out.
const lastEpoch = math.MaxInt16 - 1

// transactionTimeout is how long the coordinator leaves a transaction open that a
// session which died began: until then read-committed consumers wait there.
const transactionTimeout = time.Minute

// fenceWorkers is how many partitions are fenced side by side.
const fenceWorkers = 8

// transactionalID names a partition's producer for all sessions of a relay.
func transactionalID(id bridge.Identity, topic string, partition int32) string {
	return groupOf(id) + "." + topic + "." + strconv.Itoa(int(partition))
}

// fence keeps earlier sessions out of partitions, and finds out where what they
// wrote ends. // I2 I6
func (s *sink) fence(ctx context.Context, parts []*partition) error {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo := make(chan *partition)
	var wg sync.WaitGroup
	for range min(fenceWorkers, len(parts)) {
		wg.Go(func() {
			f := &fencer{lookback: lookback{cluster: newCluster(s.opener.system), layout: s.target.layout}, id: s.opener.id}
			defer f.cluster.close()
			for p := range todo {
				if err := f.fence(work, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, p := range parts {
		select {
		case todo <- p:
		case <-work.Done():
		}
	}
	close(todo)
	wg.Wait()
	return context.Cause(work)
}

// A fencer fences one partition after the other.
type fencer struct {
	lookback
	id bridge.Identity
}

func (f *fencer) fence(ctx context.Context, p *partition) error {
	end, err := f.end(ctx, p, atLatest)
	if err != nil {
		return err
	}
	p.fenced, p.next = end, end
	if bridge.Planted(bridge.BugFenceOff) {
		p.producer, err = f.anonymous(ctx)
		return err
	}
	name := transactionalID(f.id, p.topic.name, p.index)
	if p.producer, err = f.initProducer(ctx, name); err != nil {
		return err
	}
	for p.producer.epoch >= lastEpoch {
		if err := f.add(ctx, name, p); err != nil {
			return err
		}
		if p.producer, err = f.initProducer(ctx, name); err != nil {
			return err
		}
	}
	if err := f.add(ctx, name, p); err != nil {
		return err
	}
	if err := f.abort(ctx, name, p.producer); err != nil {
		return err
	}
	return f.await(ctx, p, end)
}

// anonymous is the producer of a session that nothing fences.
func (f *fencer) anonymous(ctx context.Context) (producer, error) {
	k, err := f.cluster.any(ctx)
	if err != nil {
		return producer{}, err
	}
	m, err := k.ask(ctx, &initproducerid.Request{ProducerID: noProducer, ProducerEpoch: noProducer})
	if err != nil {
		return producer{}, err
	}
	return k.producerOf(m.(*initproducerid.Response))
}

// initProducer begins the next epoch of a transactional ID. Nobody goes on without
// a producer: an error in an answer with ID -1 would leave no idempotence at all.
func (f *fencer) initProducer(ctx context.Context, name string) (p producer, err error) {
	err = f.coordinated(ctx, name, func(k *conn) error {
		// ID and epoch -1: whoever had it before, it is ours now (KIP-360).
		m, err := k.ask(ctx, &initproducerid.Request{
			TransactionalID: name, TransactionTimeoutMs: int32(transactionTimeout.Milliseconds()),
			ProducerID: noProducer, ProducerEpoch: noProducer,
		})
		if err != nil {
			return err
		}
		p, err = k.producerOf(m.(*initproducerid.Response))
		return err
	})
	return p, err
}

func (c *conn) producerOf(res *initproducerid.Response) (producer, error) {
	switch {
	case kafkago.Error(res.ErrorCode) == kafkago.InvalidTransactionTimeout:
		return producer{}, bridge.Fatal(c.refused("InitProducerID", kafkago.InvalidTransactionTimeout), fmt.Sprintf("Set transaction.max.timeout.ms of the brokers to at least %d.", transactionTimeout.Milliseconds()))
	case res.ErrorCode != 0:
		return producer{}, c.refused("InitProducerID", kafkago.Error(res.ErrorCode))
	case res.ProducerID < 0 || res.ProducerEpoch < 0:
		return producer{}, c.failed("InitProducerID", fmt.Errorf("producer ID %d epoch %d", res.ProducerID, res.ProducerEpoch))
	}
	return producer{res.ProducerID, res.ProducerEpoch}, nil
}

// add begins the transaction.
func (f *fencer) add(ctx context.Context, name string, p *partition) error {
	return f.coordinated(ctx, name, func(k *conn) error {
		m, err := k.ask(ctx, &addpartitionstotxn.Request{
			TransactionalID: name, ProducerID: p.producer.id, ProducerEpoch: p.producer.epoch,
			Topics: []addpartitionstotxn.RequestTopic{{Name: p.topic.name, Partitions: []int32{p.index}}},
		})
		if err != nil {
			return err
		}
		for _, t := range m.(*addpartitionstotxn.Response).Results {
			for _, r := range t.Results {
				if r.ErrorCode != 0 {
					return f.fencedOff(k, "AddPartitionsToTxn", kafkago.Error(r.ErrorCode))
				}
			}
		}
		return nil
	})
}

// abort ends the transaction.
func (f *fencer) abort(ctx context.Context, name string, p producer) error {
	return f.coordinated(ctx, name, func(k *conn) error {
		m, err := k.ask(ctx, &endtxn.Request{TransactionalID: name, ProducerID: p.id, ProducerEpoch: p.epoch})
		if err != nil {
			return err
		}
		if e := kafkago.Error(m.(*endtxn.Response).ErrorCode); e != 0 {
			return f.fencedOff(k, "EndTxn", e)
		}
		return nil
	})
}

// fencedOff says what it means that the coordinator knows a newer epoch.
func (f *fencer) fencedOff(k *conn, what string, e kafkago.Error) error {
	if superseded(e) {
		return fmt.Errorf("%w: %w", k.refused(what, e), errSuperseded)
	}
	return k.refused(what, e)
}

var errSuperseded = errors.New("another session of this relay has begun")

// superseded says that a newer epoch of the producer is known.
func superseded(e kafkago.Error) bool {
	return e == kafkago.InvalidProducerEpoch || e == kafkago.ProducerFenced
}

// coordinated asks the coordinator of a transactional ID, again and again while it
// is not ready: it has just been elected, or ends the ID's transaction before.
func (f *fencer) coordinated(ctx context.Context, name string, ask func(*conn) error) error {
	return f.patiently(ctx, unready, func() error {
		k, err := f.cluster.coordinator(ctx, transactionCoordinator, name)
		if err != nil {
			return err
		}
		return ask(k)
	})
}

// unready says that a coordinator may answer the same request in a moment.
func unready(err error) bool {
	var e kafkago.Error
	return errors.As(err, &e) && (e == kafkago.ConcurrentTransactions || slices.Contains(moved, e))
}

// await reads the partition from an offset on until the marker of our epoch is
// there. Whatever earlier sessions wrote stands in front of it.
func (f *fencer) await(ctx context.Context, p *partition, from int64) error {
	deadline := time.Now().Add(f.cluster.system.config.RequestTimeout)
	for {
		var err error
		from, err = f.sweep(ctx, p, from)
		if errors.Is(err, errMarker) {
			return nil
		}
		if err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %s: topic %s partition %d: the marker that keeps earlier sessions out was not there within %s", Kind, f.cluster.system.name, p.topic.name, p.index, f.cluster.system.config.RequestTimeout)
		}
	}
}

// errMarker ends a sweep that has met the marker.
var errMarker = errors.New("marker")

func (f *fencer) sweep(ctx context.Context, p *partition, from int64) (int64, error) {
	got, err := f.from(ctx, p, from, coordinatorPause)
	if err != nil {
		return from, err
	}
	return f.each(got.records, from, func(h *batchHeader) error {
		if h.control() && h.producerID == p.producer.id && h.producerEpoch >= p.producer.epoch {
			p.fenced, p.next = h.lastOffset+1, h.lastOffset+1
			return errMarker
		}
		return nil
	})
}
