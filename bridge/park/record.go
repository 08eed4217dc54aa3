package park

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Parked message is one that was set aside.
type Parked struct {
	At      time.Time
	Reason  bridge.Reason
	Cause   string // what was said when it was refused
	Message bridge.Message
}

// The octets of a record: a part header, then a piece of the payload. The
// payload is a line of JSON, then the body.
//
//	"CFP1" group(8) part(4) parts(4) | {"reason":…}\n body…
const (
	magic      = "CFP1"
	partHeader = len(magic) + 8 + 4 + 4
)

// meta is the line of JSON. Everything that may hold any octets is []byte.
type meta struct {
	At         time.Time     `json:"at"`
	Reason     bridge.Reason `json:"reason"`
	Cause      string        `json:"cause"`
	Key        []byte        `json:"key,omitempty"`
	ID         string        `json:"id,omitempty"`
	Space      []byte        `json:"space,omitempty"`
	Name       []byte        `json:"name,omitempty"`
	Partition  int32         `json:"partition,omitempty"`
	Headers    []metaHeader  `json:"headers,omitempty"`
	Properties []metaProp    `json:"properties,omitempty"`
	Time       *time.Time    `json:"time,omitempty"`
	Expires    *time.Time    `json:"expires,omitempty"`
	Origin     string        `json:"origin,omitempty"`
	NullBody   bool          `json:"null_body,omitempty"`
}

type metaHeader struct {
	Name  []byte `json:"n"`
	Type  string `json:"t"`
	Value []byte `json:"v"`
}

type metaProp struct {
	Name string `json:"n"`
	Text []byte `json:"t,omitempty"`
	Num  int64  `json:"i,omitempty"`
	Null bool   `json:"null,omitempty"`
}

// encode gives the payload of one parked message.
func encode(p *Parked) ([]byte, error) {
	m := &p.Message
	out := meta{
		At: p.At, Reason: p.Reason, Cause: p.Cause, Key: []byte(m.Key), ID: m.ID.Text(m.Key),
		Space: []byte(m.Address.Space), Name: []byte(m.Address.Name), Partition: m.Address.Partition,
		Origin: m.Origin.String(), NullBody: m.Body == nil,
	}
	if !m.Time.IsZero() {
		out.Time = &m.Time
	}
	if !m.Expires.IsZero() {
		out.Expires = &m.Expires
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, metaHeader{[]byte(h.Name), string(h.Type.Letter()), h.Value})
	}
	for _, q := range m.Properties {
		out.Properties = append(out.Properties, metaProp{q.Kind.String(), []byte(q.Text), q.Num, q.Null})
	}
	line, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("park: encode: %w", err)
	}
	b := append(make([]byte, 0, len(line)+1+len(m.Body)), line...)
	b = append(b, '\n')
	return append(b, m.Body...), nil
}

// decode reads what encode wrote.
func decode(b []byte) (*Parked, error) {
	line, body, ok := bytes.Cut(b, []byte{'\n'})
	if !ok {
		return nil, fmt.Errorf("park: record of %d octets has no end of line", len(b))
	}
	var in meta
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, fmt.Errorf("park: record: %w", err)
	}
	p := &Parked{At: in.At, Reason: in.Reason, Cause: in.Cause}
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
	if in.Time != nil {
		m.Time = *in.Time
	}
	if in.Expires != nil {
		m.Expires = *in.Expires
	}
	if !in.NullBody {
		m.Body = append([]byte{}, body...)
	}
	return p, restore(m, &in)
}

func restore(m *bridge.Message, in *meta) error {
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

// split cuts a payload into records of at most most octets.
func split(payload []byte, most int) ([][]byte, error) {
	room := most - partHeader
	if room < 1 {
		return nil, bridge.Fatal(fmt.Errorf("park: the journal takes only %d octets a record", most), "Raise the message size limit of the incumbent.")
	}
	parts := max(1, (len(payload)+room-1)/room)
	var group [8]byte
	_, _ = rand.Read(group[:]) // never fails, by its documentation
	records := make([][]byte, 0, parts)
	for i := range parts {
		piece := payload[i*room : min((i+1)*room, len(payload))]
		b := append(make([]byte, 0, partHeader+len(piece)), magic...)
		b = append(b, group[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(i))
		b = binary.BigEndian.AppendUint32(b, uint32(parts))
		records = append(records, append(b, piece...))
	}
	return records, nil
}

// A joiner puts the parts of records together again. Parts of several groups may
// stand in between each other: a process that was stopped may finish its record
// after its successor has begun one.
type joiner struct {
	open []*partial // oldest first
}

// A partial is a group of which not all parts have been read.
type partial struct {
	group   [8]byte
	next    uint32
	payload []byte
}

// mostOpen bounds what crashes may have left unfinished behind each other.
const mostOpen = 16

// add takes the next record of a journal and gives the payload that it
// completes, or nil.
func (j *joiner) add(record []byte) ([]byte, error) {
	if len(record) < partHeader || string(record[:len(magic)]) != magic {
		return nil, fmt.Errorf("park: not a record of a parked message (%d octets)", len(record))
	}
	var group [8]byte
	copy(group[:], record[len(magic):])
	part := binary.BigEndian.Uint32(record[len(magic)+8:])
	parts := binary.BigEndian.Uint32(record[len(magic)+12:])
	i := slices.IndexFunc(j.open, func(p *partial) bool { return p.group == group })
	if part == 0 && i < 0 {
		if len(j.open) == mostOpen {
			j.open = slices.Delete(j.open, 0, 1)
		}
		i = len(j.open)
		j.open = append(j.open, &partial{group: group})
	}
	if i < 0 || part != j.open[i].next || part >= parts {
		return nil, nil // the rest of a group whose beginning is gone, or a repeat
	}
	p := j.open[i]
	p.payload = append(p.payload, record[partHeader:]...)
	if p.next++; p.next < parts {
		return nil, nil
	}
	j.open = slices.Delete(j.open, i, i+1)
	return p.payload, nil
}
