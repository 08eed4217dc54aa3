package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// offsets keeps where a stream tap is read from next, and which tap that is, in
// a small stream at the broker. Bridge hosts hold nothing. // I6
type offsets struct {
	log         *ownLog
	incarnation string // the tap's identity, made once with it
	positions   positions
	created     bool // the tap has been declared
}

const (
	offsetsBytes   = 1 << 20
	offsetsSegment = 200_000
)

// openOffsets reads the last checkpoint from a stream, which it makes if it is not
// there. Where there is no checkpoint yet it notes an identity for the tap, which
// the caller is about to create: the given one, or a new one.
func (o *sourceOpener) openOffsets(ctx context.Context, n *session, stream, tap, identity string) (*offsets, error) {
	_, err := o.system.makeNoted(ctx, n, o.id, thing{kind: kindStream, name: stream, use: useOffsets, of: tap}, amqp.Table{
		"x-queue-type": typeStream, "x-max-length-bytes": int64(offsetsBytes), "x-stream-max-segment-size-bytes": int64(offsetsSegment),
	})
	if err != nil {
		return nil, err
	}
	log, err := openLog(n, stream)
	if err != nil {
		return nil, err
	}
	p := &offsets{log: log}
	if err := log.newest(ctx, p.read); err != nil {
		return nil, err
	}
	if !p.created {
		if err := log.replay(ctx, p.read); err != nil {
			return nil, err
		}
	}
	if p.incarnation == "" {
		if p.incarnation = identity; identity == "" {
			p.incarnation = token()
		}
		return p, log.append(ctx, []byte("creating "+p.incarnation))
	}
	return p, nil
}

// read takes one record: "creating IDENTITY" or "position IDENTITY NEXT …".
func (p *offsets) read(record []byte) error {
	words := strings.Fields(string(record))
	switch {
	case len(words) == 2 && words[0] == "creating":
		p.incarnation = words[1]
		return nil
	case len(words) >= 3 && words[0] == "position":
		at, err := parsePositions(words[2:])
		if err == nil {
			p.incarnation, p.positions, p.created = words[1], at, true
			return nil
		}
	}
	return bridge.Fatal(fmt.Errorf("rabbitmq: %s: record %q cannot be read", p.log.stream, printable(string(record))),
		"Something else writes to a stream of the bridge's own; find out what does.")
}

// save keeps a record of positions, and returns once it is durable.
func (p *offsets) save(ctx context.Context, record string) error {
	return p.log.append(ctx, []byte("position "+p.incarnation+" "+record))
}

// begin makes next the first position of a new tap.
func (p *offsets) begin(ctx context.Context, next uint64) error {
	p.positions.next = next
	return p.save(ctx, p.positions.record())
}
