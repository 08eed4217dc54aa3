package main

import (
	"bytes"
	"fmt"
)

// A check compares what is found at a target, in its order, with the load: every
// message once, unaltered, with its ID, each key in order.
type check struct {
	load  *load
	id    func(i int) string // what the target has to say is message i's ID
	seen  []bool
	last  []int // by key: the newest number found, plus one
	body  []byte
	found int
	err   error
}

func newCheck(l *load, id func(int) string) *check {
	return &check{load: l, id: id, seen: make([]bool, l.n), last: make([]int, keyCount)}
}

// add takes the next message at the target. The first thing that is wrong stays.
func (c *check) add(body []byte, id string) {
	c.found++
	if c.err == nil {
		c.err = c.look(body, id)
	}
}

func (c *check) look(body []byte, id string) error {
	i, ok := numberOf(body)
	if !ok || i < 0 || i >= c.load.n {
		return fmt.Errorf("unknown message: body %.60q", body)
	}
	if c.body = c.load.appendBody(c.body[:0], i); !bytes.Equal(c.body, body) {
		return fmt.Errorf("message %d is altered: %q", i, body)
	}
	if want := c.id(i); id != want {
		return fmt.Errorf("message %d has the ID %q, want %q", i, id, want)
	}
	if c.seen[i] {
		return fmt.Errorf("message %d is there twice", i)
	}
	c.seen[i] = true
	last := &c.last[c.load.of[i]]
	if i < *last {
		return fmt.Errorf("key %s: message %d came behind %d", c.load.key(i), i, *last-1)
	}
	*last = i + 1
	return nil
}

// done says what is wrong once everything has been added.
func (c *check) done() error {
	if c.err != nil {
		return c.err
	}
	lost := 0
	for _, ok := range c.seen {
		if !ok {
			lost++
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d of %d messages are lost", lost, c.load.n)
	}
	return nil
}
