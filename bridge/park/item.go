package park

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/written"
)

// A note says what became of parked messages.
type note string

const (
	notePlaced    note = "placed"    // retried, and confirmed by the candidate
	noteDiscarded note = "discarded" // given up by an operator
	noteRetry     note = "retry"     // an operator wants them sent again, with what waits behind them
	noteRefused   note = "refused"   // retried, and refused once more
)

// An item is a parked message, or a note about some: length(4), then a line of
// JSON, then the body.
//
// Everything that may hold any octets is []byte.
type item struct {
	Note   note          `json:"note,omitempty"`
	Refs   []string      `json:"refs,omitempty"` // of a note
	At     time.Time     `json:"at"`
	Reason bridge.Reason `json:"reason,omitempty"`
	Cause  string        `json:"cause,omitempty"`
	Shard  int32         `json:"shard,omitempty"`
	Hold   bool          `json:"hold,omitempty"`
	written.Message

	body []byte
}

// itemOf makes an item of a parked message.
func itemOf(p *bridge.Parked) *item {
	out := &item{At: p.At, Reason: p.Reason, Cause: p.Cause, Shard: p.Shard, Hold: p.Hold, Message: written.Of(&p.Message)}
	out.body, out.Body = out.Body, nil
	return out
}

// parked gives back what itemOf was given, but for Ref and Retry.
func (in *item) parked() (*bridge.Parked, error) {
	p := &bridge.Parked{At: in.At, Reason: in.Reason, Cause: in.Cause, Shard: in.Shard, Hold: in.Hold}
	w := in.Message
	w.Body = in.body
	var err error
	if p.Message, err = w.Read(); err != nil {
		return nil, fmt.Errorf("park: record: %w", err)
	}
	return p, nil
}

// appendItem writes one item.
func appendItem(b []byte, in *item) ([]byte, error) {
	line, err := json.Marshal(in)
	if err != nil {
		return b, fmt.Errorf("park: encode: %w", err)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(line)+1+len(in.body)))
	b = append(append(b, line...), '\n')
	return append(b, in.body...), nil
}

// items reads what appendItem wrote, one behind the other.
func items(b []byte) ([]item, error) {
	var out []item
	for len(b) > 0 {
		if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
			return nil, fmt.Errorf("park: an item of a record is cut short")
		}
		n := int(binary.BigEndian.Uint32(b))
		line, body, ok := bytes.Cut(b[4:4+n], []byte{'\n'})
		if !ok {
			return nil, fmt.Errorf("park: an item of %d octets has no end of line", n)
		}
		in := item{body: body}
		if err := json.Unmarshal(line, &in); err != nil {
			return nil, fmt.Errorf("park: record: %w", err)
		}
		out, b = append(out, in), b[4+n:]
	}
	return out, nil
}
