package park

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
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
	Note       note          `json:"note,omitempty"`
	Refs       []string      `json:"refs,omitempty"` // of a note
	At         time.Time     `json:"at"`
	Reason     bridge.Reason `json:"reason,omitempty"`
	Cause      string        `json:"cause,omitempty"`
	Shard      int32         `json:"shard,omitempty"`
	Hold       bool          `json:"hold,omitempty"`
	Key        []byte        `json:"key,omitempty"`
	ID         string        `json:"id,omitempty"`
	Space      []byte        `json:"space,omitempty"`
	Name       []byte        `json:"name,omitempty"`
	Partition  int32         `json:"partition,omitempty"`
	Headers    []itemHeader  `json:"headers,omitempty"`
	Properties []itemProp    `json:"properties,omitempty"`
	Time       *time.Time    `json:"time,omitempty"`
	Expires    *time.Time    `json:"expires,omitempty"`
	Origin     string        `json:"origin,omitempty"`
	Via        string        `json:"via,omitempty"`
	NullBody   bool          `json:"null_body,omitempty"`

	body []byte
}

type itemHeader struct {
	Name  []byte `json:"n"`
	Type  string `json:"t"`
	Value []byte `json:"v"`
}

type itemProp struct {
	Name string `json:"n"`
	Text []byte `json:"t,omitempty"`
	Num  int64  `json:"i,omitempty"`
	Null bool   `json:"null,omitempty"`
}

// itemOf makes an item of a parked message.
func itemOf(p *bridge.Parked) *item {
	m := &p.Message
	out := &item{
		At: p.At, Reason: p.Reason, Cause: p.Cause, Shard: p.Shard, Hold: p.Hold,
		Key: []byte(m.Key), ID: m.ID.Text(m.Key),
		Space: []byte(m.Address.Space), Name: []byte(m.Address.Name), Partition: m.Address.Partition,
		Origin: m.Origin.String(), Via: m.Via, NullBody: m.Body == nil, body: m.Body,
	}
	if !m.Time.IsZero() {
		out.Time = &m.Time
	}
	if !m.Expires.IsZero() {
		out.Expires = &m.Expires
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, itemHeader{[]byte(h.Name), string(h.Type.Letter()), h.Value})
	}
	for _, q := range m.Properties {
		out.Properties = append(out.Properties, itemProp{q.Kind.String(), []byte(q.Text), q.Num, q.Null})
	}
	return out
}

// parked gives back what itemOf was given, but for Ref and Retry.
func (in *item) parked() (*bridge.Parked, error) {
	p := &bridge.Parked{At: in.At, Reason: in.Reason, Cause: in.Cause, Shard: in.Shard, Hold: in.Hold}
	m := &p.Message
	m.Key = string(in.Key)
	m.Address = bridge.Address{Space: string(in.Space), Name: string(in.Name), Partition: in.Partition}
	var err error
	if in.ID != "" {
		if m.ID, _, err = bridge.ParseID(in.ID); err != nil {
			return nil, fmt.Errorf("park: record: %w", err)
		}
	}
	if in.Origin != "" {
		if m.Origin, err = bridge.ParseOrigin(in.Origin); err != nil {
			return nil, fmt.Errorf("park: record: %w", err)
		}
	}
	m.Via = in.Via
	if in.Time != nil {
		m.Time = *in.Time
	}
	if in.Expires != nil {
		m.Expires = *in.Expires
	}
	if !in.NullBody {
		m.Body = append([]byte{}, in.body...)
	}
	return p, in.restore(m)
}

func (in *item) restore(m *bridge.Message) error {
	for _, h := range in.Headers {
		if len(h.Type) != 1 {
			return fmt.Errorf("park: record: header type %q", h.Type)
		}
		t, ok := bridge.TypeOfLetter(h.Type[0])
		if !ok {
			return fmt.Errorf("park: record: header type %q", h.Type)
		}
		m.Headers = append(m.Headers, bridge.Header{Name: string(h.Name), Type: t, Value: h.Value})
	}
	for _, q := range in.Properties {
		k, ok := bridge.PropertyOfName(q.Name)
		if !ok {
			return fmt.Errorf("park: record: property %q", q.Name)
		}
		m.Properties = append(m.Properties, bridge.Property{Kind: k, Text: string(q.Text), Num: q.Num, Null: q.Null})
	}
	return nil
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
