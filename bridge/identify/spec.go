package identify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Key says where a message's ordering key is found. At most one field is set;
// the zero Key is the default: an earlier hop's key, else the address.
type Key struct {
	// From is "address", also written "routing-key", "subject" or "topic"; or
	// "shard", which is the empty key: the whole shard stays in order.
	From string `yaml:"from"`
	// Token is the N-th dot-separated part of the address, from 1.
	Token int `yaml:"token"`
	// Header is the name of a header.
	Header string `yaml:"header"`
	// Property is the AMQP name of a property, or "key" for Kafka's record key.
	Property string `yaml:"property"`
	// JSON is the path of a field of a JSON body, in gjson's syntax.
	JSON string `yaml:"json"`
}

// An ID says where a message's dedup ID is found. At most one of From, Header,
// Property and JSON is set; the zero ID is the default.
type ID struct {
	// From is "message-id" (the property), "nats-msg-id" (the header), "origin"
	// or "content".
	From string `yaml:"from"`
	// Header is the name of a header.
	Header string `yaml:"header"`
	// Property is the AMQP name of a property.
	Property string `yaml:"property"`
	// JSON is the path of a field of a JSON body, in gjson's syntax.
	JSON string `yaml:"json"`
	// Scope is "key" (default) or "global": among which messages IDs are unique.
	Scope string `yaml:"scope"`
	// SuppressContent says that messages of the same address, key and body are
	// repeats of one message, so that all but the first are suppressed.
	SuppressContent bool `yaml:"suppress_content"`
}

// A Spec is everything that identifies the messages of one relay.
type Spec struct {
	Key Key
	ID  ID
}

// A place is where a value is looked for.
type place uint8

const (
	byDefault place = iota
	inAddress
	inShard
	inToken
	inHeader
	inProperty
	inJSON
	inOrigin
	inContent
)

// NatsMsgID is the header that carries the producer's own ID at NATS.
const NatsMsgID = "Nats-Msg-Id"

// A finder is a Key or the first half of an ID, made ready.
type finder struct {
	place    place
	name     string // of the header; the path in JSON
	token    int
	property bridge.PropertyKind
}

var keyPlaces = map[string]place{
	"": byDefault, "address": inAddress, "routing-key": inAddress, "subject": inAddress, "topic": inAddress, "shard": inShard,
}

// finder checks the settings and makes them ready.
func (k Key) finder() (finder, error) {
	if err := atMostOne(k.From != "", k.Token != 0, k.Header != "", k.Property != "", k.JSON != ""); err != nil {
		return finder{}, fmt.Errorf("key: %w: from, token, header, property, json", err)
	}
	p, ok := keyPlaces[k.From]
	switch {
	case !ok:
		return finder{}, fmt.Errorf("key: from: %q is none of address, routing-key, subject, topic, shard", k.From)
	case k.Token < 0:
		return finder{}, fmt.Errorf("key: token: %d: tokens count from 1", k.Token)
	case k.Token > 0:
		return finder{place: inToken, token: k.Token}, nil
	}
	f, err := named(k.Header, k.Property, k.JSON)
	if err != nil {
		return finder{}, fmt.Errorf("key: %w", err)
	}
	if f.place == byDefault {
		f.place = p
	}
	return f, nil
}

// finder checks the settings and makes them ready.
func (id ID) finder() (finder, error) {
	if err := atMostOne(id.From != "", id.Header != "", id.Property != "", id.JSON != ""); err != nil {
		return finder{}, fmt.Errorf("id: %w: from, header, property, json", err)
	}
	f, err := named(id.Header, id.Property, id.JSON)
	if err != nil {
		return finder{}, fmt.Errorf("id: %w", err)
	}
	switch id.From {
	case "":
	case "message-id":
		f = finder{place: inProperty, property: bridge.KindMessageID}
	case "nats-msg-id":
		f = finder{place: inHeader, name: NatsMsgID}
	case "origin":
		f = finder{place: inOrigin}
	case "content":
		f = finder{place: inContent}
	default:
		return finder{}, fmt.Errorf("id: from: %q is none of message-id, nats-msg-id, origin, content", id.From)
	}
	if id.SuppressContent && f.place == inOrigin {
		return finder{}, errors.New("id: suppress_content has no effect on IDs from the origin; take one of the two away")
	}
	return f, nil
}

func (id ID) scope() (bridge.Scope, error) {
	switch id.Scope {
	case "", "key":
		return bridge.ScopeKey, nil
	case "global":
		return bridge.ScopeGlobal, nil
	}
	return 0, fmt.Errorf("id: scope: %q is neither key nor global", id.Scope)
}

func named(header, property, path string) (finder, error) {
	switch {
	case header != "":
		if bridge.IsHop(header) {
			return finder{}, fmt.Errorf("header: %q is one of the bridge's own; it is read without being asked", header)
		}
		return finder{place: inHeader, name: header}, nil
	case property != "":
		k, ok := bridge.PropertyOfName(property)
		if !ok {
			return finder{}, fmt.Errorf("property: there is no %q; there are %s", property, propertyNames())
		}
		return finder{place: inProperty, property: k}, nil
	case path != "":
		return finder{place: inJSON, name: path}, nil
	}
	return finder{}, nil
}

func propertyNames() string {
	var names []string
	for k := bridge.KindContentType; k.String() != "property?"; k++ {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

func atMostOne(set ...bool) error {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	if n > 1 {
		return fmt.Errorf("%d places are named, want at most one of", n)
	}
	return nil
}

// Validate says what is wrong with the spec for a source of these traits.
func (s Spec) Validate(t bridge.SourceTraits) error {
	_, err := New(s, t)
	return err
}
