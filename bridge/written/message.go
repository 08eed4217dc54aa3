// Package written has messages as they stand in files and journals: all that a message
// has, as JSON, to be read back exactly, octets that are no text included.
package written

import (
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Message is a bridge.Message as JSON. Everything that may hold any octets is []byte.
type Message struct {
	Key        []byte     `json:"key,omitempty"`
	ID         string     `json:"id,omitempty"`
	Space      []byte     `json:"space,omitempty"`
	Name       []byte     `json:"name,omitempty"`
	Partition  int32      `json:"partition,omitempty"`
	Headers    []Header   `json:"headers,omitempty"`
	Properties []Property `json:"properties,omitempty"`
	Time       *Time      `json:"time,omitempty"`
	Expires    *Time      `json:"expires,omitempty"`
	Origin     string     `json:"origin,omitempty"`
	Via        string     `json:"via,omitempty"`
	NullBody   bool       `json:"null_body,omitempty"`
	Body       []byte     `json:"body,omitempty"`
}

// A Header is one header, with the letter of its type.
type Header struct {
	Name  []byte `json:"n"`
	Type  string `json:"t"`
	Value []byte `json:"v"`
}

// A Property is one property, by its name.
type Property struct {
	Name string `json:"n"`
	Text []byte `json:"t,omitempty"`
	Num  int64  `json:"i,omitempty"`
	Null bool   `json:"null,omitempty"`
}

// Of writes a message, whose body and values it shares.
func Of(m *bridge.Message) Message {
	out := Message{
		Key: []byte(m.Key), ID: m.ID.Text(m.Key),
		Space: []byte(m.Address.Space), Name: []byte(m.Address.Name), Partition: m.Address.Partition,
		Origin: m.Origin.String(), Via: m.Via, NullBody: m.Body == nil, Body: m.Body,
	}
	if !m.Time.IsZero() {
		out.Time = (*Time)(&m.Time)
	}
	if !m.Expires.IsZero() {
		out.Expires = (*Time)(&m.Expires)
	}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, Header{[]byte(h.Name), string(h.Type.Letter()), h.Value})
	}
	for _, q := range m.Properties {
		out.Properties = append(out.Properties, Property{q.Kind.String(), []byte(q.Text), q.Num, q.Null})
	}
	return out
}

// Read gives back what Of was given. Errors say what of it cannot be read.
func (in *Message) Read() (m bridge.Message, err error) {
	m.Key = string(in.Key)
	m.Address = bridge.Address{Space: string(in.Space), Name: string(in.Name), Partition: in.Partition}
	if in.ID != "" {
		if m.ID, _, err = bridge.ParseID(in.ID); err != nil {
			return m, err
		}
	}
	if in.Origin != "" {
		if m.Origin, err = bridge.ParseOrigin(in.Origin); err != nil {
			return m, err
		}
	}
	m.Via = in.Via
	if in.Time != nil {
		m.Time = time.Time(*in.Time)
	}
	if in.Expires != nil {
		m.Expires = time.Time(*in.Expires)
	}
	if !in.NullBody {
		m.Body = append([]byte{}, in.Body...)
	}
	return m, in.readFields(&m)
}

func (in *Message) readFields(m *bridge.Message) error {
	for _, h := range in.Headers {
		if len(h.Type) != 1 {
			return fmt.Errorf("header type %q", h.Type)
		}
		t, ok := bridge.TypeOfLetter(h.Type[0])
		if !ok {
			return fmt.Errorf("header type %q", h.Type)
		}
		m.Headers = append(m.Headers, bridge.Header{Name: string(h.Name), Type: t, Value: h.Value})
	}
	for _, q := range in.Properties {
		k, ok := bridge.PropertyOfName(q.Name)
		if !ok {
			return fmt.Errorf("property %q", q.Name)
		}
		m.Properties = append(m.Properties, bridge.Property{Kind: k, Text: string(q.Text), Num: q.Num, Null: q.Null})
	}
	return nil
}
