package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// patience is how long the brokers have to confirm one batch.
const patience = time.Minute

// A consumer reads samples and writes what they lead to.
type consumer struct {
	in        input
	out       output
	state     *state
	stateFile string
	producer  string // empty: results do not say who wrote them, nor when
}

// newConsumer makes a consumer that Run starts.
func newConsumer(s settings) (*consumer, error) {
	in, err := newInput(s)
	if err != nil {
		return nil, err
	}
	out, err := newOutput(s)
	if err != nil {
		return nil, err
	}
	c := &consumer{in: in, out: out, state: newState(s.rules), stateFile: s.state}
	if !s.quiet {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("-quiet is needed, since this machine has no name: %w", err)
		}
		c.producer = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	return c, nil
}

// Run works until ctx ends, and then finishes what it has begun. It is called once.
func (c *consumer) Run(ctx context.Context) error {
	if err := c.state.Load(c.stateFile); err != nil {
		return err
	}
	defer c.in.close()
	defer c.out.close()
	if err := c.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // nothing was begun
		}
		return err
	}
	for {
		batch, err := c.in.receive(ctx)
		if err != nil {
			return err
		}
		if err := c.handle(context.WithoutCancel(ctx), batch); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// open connects both sides.
func (c *consumer) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.out.open(ctx); err != nil {
		return err
	}
	return c.in.open(ctx)
}

// handle takes a batch through all of its steps. The order of the last three is
// what makes a crash harmless.
func (c *consumer) handle(ctx context.Context, batch []message) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	results, err := c.apply(batch)
	if err != nil {
		return err
	}
	if err := c.out.publish(ctx, results); err != nil {
		return err
	}
	if err := c.state.Save(c.stateFile); err != nil {
		return err
	}
	return c.in.acknowledge(ctx)
}

// apply gives the messages to which a batch leads.
func (c *consumer) apply(batch []message) (out []message, err error) {
	for _, m := range batch {
		x, ok := decode(m)
		if !ok {
			c.state.Skipped++
			continue
		}
		for _, r := range c.state.Apply(x) {
			if c.producer != "" {
				r.Producer, r.Emitted = c.producer, time.Now().UTC()
			}
			result, err := r.message()
			if err != nil {
				return nil, err
			}
			out = append(out, result)
		}
	}
	return out, nil
}

// Counts says what this run came to.
func (c *consumer) Counts() counts { return c.state.counts }
