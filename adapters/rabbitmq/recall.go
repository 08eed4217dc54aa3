package rabbitmq

import (
	"context"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

const (
	// recallReach is how far back Recall looks among messages of other writers:
	// so many steps of n offsets, or of recallStep where n is less.
	recallReach = 4
	recallStep  = 1024
	// emptyPatience is how long a stream with a count of nothing is silent
	// before it is taken as empty.
	emptyPatience = time.Second
)

// Recall reads the stream's newest messages and reports those of this relay. It
// runs on a connection of its own and moves nothing. // I6
func (s *streamSink) Recall(ctx context.Context, lane, n int, each func(bridge.Placed)) error {
	o := s.opener
	stream := o.target.queue
	conn, err := o.system.connect(ctx, fmt.Sprintf("%s recall from %s", o.id, stream))
	if err != nil {
		return err
	}
	defer conn.close()
	last, empty, err := conn.tail(ctx, stream, emptyPatience)
	if err != nil || empty || n <= 0 {
		return err
	}
	var found []bridge.Placed
	step := uint64(max(n, recallStep))
	for to, reach := last, recallReach; reach > 0 && len(found) < n; reach-- {
		from := uint64(0)
		if to >= step {
			from = to - step + 1
		}
		block, err := conn.placed(ctx, stream, o.id.String(), from, to)
		if err != nil {
			return err
		}
		found = append(block, found...)
		if from == 0 {
			break
		}
		to = from - 1
	}
	for _, p := range found[max(0, len(found)-n):] {
		each(p)
	}
	return nil
}

// placed reads a range of offsets and gives what the relay of that name placed.
// Where the range has been cut off, it is what is left of it.
func (n *session) placed(ctx context.Context, stream, relay string, from, to uint64) ([]bridge.Placed, error) {
	r, err := n.readStream(stream, int64(from), 4096)
	if err != nil {
		return nil, err
	}
	defer r.close()
	var found []bridge.Placed
	for {
		batch, err := r.next(ctx, 1024)
		if err != nil {
			return nil, err
		}
		for i := range batch {
			p, ours, err := readPlaced(&batch[i], relay)
			if err != nil {
				return nil, err
			}
			if p.Position > to {
				return found, nil
			}
			if ours {
				found = append(found, p)
			}
			if p.Position == to {
				return found, nil
			}
		}
	}
}

// readPlaced reads the ID and position of a message, and whether the relay
// placed it.
func readPlaced(d *delivery, relay string) (p bridge.Placed, ours bool, err error) {
	if p.Position, err = offsetOf(d); err != nil {
		return p, false, err
	}
	id := ""
	err = eachHeader(d, func(name []byte, _ bridge.Type, value []byte) {
		switch string(name) {
		case bridge.HopRelay:
			ours = string(value) == relay
		case bridge.HopID:
			id = string(value)
		}
	})
	if err != nil || !ours || id == "" {
		return p, false, err
	}
	if p.ID, p.Key, err = bridge.ParseID(id); err != nil {
		return p, false, nil // not written by this relay after all
	}
	return p, true, nil
}
