package ledger

import (
	"fmt"
	"slices"
	"strings"
)

// NumberHeader carries the number by which the ledger knows a message.
const NumberHeader = "ledger-n"

// A Message is one message, as planned or as found at the candidate.
type Message struct {
	// N is the number, from 1; 0 where a found message carries none.
	N int
	// Key is the ordering key, Space and Name where the producer sent it: the
	// exchange and routing key, nothing and the subject, or nothing and the topic.
	Key, Space, Name string
	// Partition is where in the topic, plus one; 0 where there is no such thing.
	Partition int
	// Millis is the producer's time in milliseconds since 1970, 0 where its system
	// has none of its own.
	Millis int64
	// ID is the producer's own ID.
	ID string
	// Body is the payload; nil is a null one, which is not an empty one.
	Body []byte
	// Headers are the producer's, NumberHeader included, in canonical form: see
	// Field. Sorted by name; the values of one name in their order.
	Headers []Field
	// Properties are the native ones, by their AMQP names. Sorted by name.
	Properties []Field
	// Subject is where the message was found, for the candidate's own address.
	Subject string
	// Mapped says that the client that read the message keeps headers in a map:
	// of several values of a name it shows the last.
	Mapped bool
}

// A Field is a header or a property. Value begins with the letter of its type in
// AMQP 0-9-1 ("S", "l", …) and a colon, for properties too where they are
// numbers; then its octets, or its number in decimal.
type Field struct{ Name, Value string }

func (f Field) String() string { return fmt.Sprintf("%s=%.80q", f.Name, f.Value) }

func sortFields(fs []Field) {
	slices.SortStableFunc(fs, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
}

// difference says in which way found is not what was planned; "" where it is.
func difference(planned, found *Message) string {
	switch {
	case found.Key != planned.Key:
		return fmt.Sprintf("key %q, was %q", found.Key, planned.Key)
	case found.ID != planned.ID:
		return fmt.Sprintf("id %q, was %q", found.ID, planned.ID)
	case found.Space != planned.Space || found.Name != planned.Name || found.Partition != planned.Partition:
		return fmt.Sprintf("address %q %q %d, was %q %q %d", found.Space, found.Name, found.Partition,
			planned.Space, planned.Name, planned.Partition)
	case planned.Millis != 0 && found.Millis != planned.Millis:
		return fmt.Sprintf("time %d, was %d", found.Millis, planned.Millis)
	case (found.Body == nil) != (planned.Body == nil):
		return fmt.Sprintf("body null is %t, was %t", found.Body == nil, planned.Body == nil)
	case string(found.Body) != string(planned.Body):
		return fmt.Sprintf("body %.120q, was %.120q", found.Body, planned.Body)
	}
	headers := planned.Headers
	if found.Mapped {
		headers = lastOfEach(headers)
		if d := fieldDifference(planned.Headers, found.Headers); d == "" {
			headers = planned.Headers // the bridge carried the repeats itself
		}
	}
	if d := fieldDifference(headers, found.Headers); d != "" {
		return "header " + d
	}
	if d := fieldDifference(planned.Properties, found.Properties); d != "" {
		return "property " + d
	}
	return ""
}

func fieldDifference(planned, found []Field) string {
	for i := range max(len(planned), len(found)) {
		switch {
		case i >= len(found):
			return planned[i].String() + " is missing"
		case i >= len(planned):
			return found[i].String() + " was not there"
		case planned[i] != found[i]:
			return fmt.Sprintf("%v, was %v", found[i], planned[i])
		}
	}
	return ""
}

// lastOfEach keeps the last value of each name.
func lastOfEach(fs []Field) []Field {
	var last []Field
	for i, f := range fs {
		if i == len(fs)-1 || fs[i+1].Name != f.Name {
			last = append(last, f)
		}
	}
	return last
}
