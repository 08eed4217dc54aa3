package kafka

import (
	"slices"
)

// What members of a group of the type "consumer" tell each other, as Kafka's own
// clients and tools read it (ConsumerProtocolSubscription and -Assignment, version 0).

// groupProtocol is the type of the group, assignor the name of our way to share out
// partitions: all of them go to one member.
const (
	groupProtocol = "consumer"
	assignor      = "crossfade"
)

// subscription is what a member joins with.
func subscription(topics []string, o *owner) []byte {
	dst := appendInt16(nil, 0)
	dst = appendInt32(dst, int32(len(topics)))
	for _, t := range topics {
		dst = appendText(dst, t, false)
	}
	own := o.text()
	return append(appendInt32(dst, int32(len(own))), own...)
}

// subscriber reads what a member joined with.
func subscriber(b []byte) (o owner, ok bool) {
	c := cursor{b: b}
	c.int16()
	for range c.count(2) {
		c.text()
	}
	return parseOwner(c.bytes())
}

// An assignment says which partitions a member has: with the tap all, else none.
type assignment map[string][]int32

func (a assignment) append(dst []byte, tap bool) []byte {
	dst = appendInt16(dst, 0)
	names := make([]string, 0, len(a))
	if tap {
		for name := range a {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	dst = appendInt32(dst, int32(len(names)))
	for _, name := range names {
		dst = appendText(dst, name, false)
		dst = appendInt32(dst, int32(len(a[name])))
		for _, p := range a[name] {
			dst = appendInt32(dst, p)
		}
	}
	mark := ""
	if tap {
		mark = tapMark
	}
	return append(appendInt32(dst, int32(len(mark))), mark...)
}

// tapMark is what the assignment of the one member holds that has the tap. A group
// that matches no topic yet has a tap too.
const tapMark = "tap"

// hasTap reads an assignment.
func hasTap(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	c := cursor{b: b}
	c.int16()
	for range c.count(6) {
		c.text()
		for range c.count(4) {
			c.int32()
		}
	}
	return string(c.bytes()) == tapMark && !c.bad
}
