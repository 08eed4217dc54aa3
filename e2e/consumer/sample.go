package main

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"
	"time"
)

// A sample is one measurement of a metric.
type sample struct {
	Metric string
	Seq    int64
	Value  float64
	At     time.Time
	ID     string // the producer's; empty where there is none
}

const (
	maxMetric = 200   // octets, so that IDs and routing keys with it fit into every system
	maxValue  = 1e200 // the sum of fewer than 1e100 is a number too
)

// decode reads the sample that a message holds; false where it holds none.
func decode(m message) (sample, bool) {
	var body struct {
		Key   string
		Seq   *int64
		Value *float64
		At    time.Time
	}
	if json.Unmarshal(m.Body, &body) != nil || body.Seq == nil || body.Value == nil || body.At.IsZero() ||
		body.Key == "" || len(body.Key) > maxMetric || math.Abs(*body.Value) > maxValue {
		return sample{}, false
	}
	return sample{Metric: body.Key, Seq: *body.Seq, Value: *body.Value, At: body.At, ID: m.ID}, true
}

// relayed is the header in which Crossfade hands the ID of a message on. In NATS
// it may be in Nats-Msg-Id instead.
const relayed = "crossfade-id"

// producerID is the producer's own ID of a message, the same at the incumbent and
// behind a relay: the first of the texts that is not empty, which are the header
// relayed, the system's own field, and the header that -id-header names.
//
// Crossfade writes SCOPE PROVENANCE ~KEY~ID, with octets as %XX, and "p" for an ID
// of the producer's, "o" for one of the place where the message was, "c" for one
// that was made of its content. Equal messages share the last, so it is none.
func producerID(texts ...string) string {
	for _, text := range texts {
		if text == "" {
			continue
		}
		parts := strings.Split(text, "~")
		if len(parts) != 3 || len(parts[0]) != 2 || !strings.ContainsAny(text[:1], "kg") || !strings.ContainsAny(text[1:2], "poc") {
			return text
		}
		id, err := url.PathUnescape(parts[2])
		switch {
		case err != nil:
			return text
		case text[1] == 'c':
			return ""
		}
		return id
	}
	return ""
}
