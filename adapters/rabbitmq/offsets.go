package rabbitmq

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// offsets keeps where a stream tap is read from next, and which tap that is, in
// a small stream at the broker. Bridge hosts hold nothing. // I6
type offsets struct {
	log         *ownLog
	incarnation string // the tap's identity, made once with it
	next        uint64 // the first offset that is not acknowledged
	created     bool   // the tap has been declared
}

const (
	offsetsBytes   = 1 << 20
	offsetsSegment = 200_000
)

// openOffsets reads the last checkpoint. Where there is none yet it notes an
// identity for the tap, which the caller is about to create.
func openOffsets(ctx context.Context, n *session, stream string) (*offsets, error) {
	log, err := openLog(n, stream, amqp.Table{
		"x-max-length-bytes": int64(offsetsBytes), "x-stream-max-segment-size-bytes": int64(offsetsSegment),
	})
	if err != nil {
		return nil, err
	}
	p := &offsets{log: log}
	if err := log.replay(ctx, p.read); err != nil {
		return nil, err
	}
	if p.incarnation == "" {
		p.incarnation = token()
		return p, log.append(ctx, []byte("creating "+p.incarnation))
	}
	return p, nil
}

// read takes one record: "creating IDENTITY" or "position IDENTITY NEXT".
func (p *offsets) read(record []byte) error {
	words := strings.Fields(string(record))
	switch {
	case len(words) == 2 && words[0] == "creating":
		p.incarnation = words[1]
		return nil
	case len(words) == 3 && words[0] == "position":
		next, err := strconv.ParseUint(words[2], 10, 64)
		if err == nil {
			p.incarnation, p.next, p.created = words[1], next, true
			return nil
		}
	}
	return bridge.Fatal(fmt.Errorf("rabbitmq: %s: record %q cannot be read", p.log.stream, printable(string(record))),
		"Something else writes to a stream of the bridge's own; find out what does.")
}

// save makes next the place to go on from, and returns once that is durable.
func (p *offsets) save(ctx context.Context, next uint64) error {
	if err := p.log.append(ctx, []byte("position "+p.incarnation+" "+strconv.FormatUint(next, 10))); err != nil {
		return err
	}
	p.next, p.created = next, true
	return nil
}
