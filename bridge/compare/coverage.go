package compare

import (
	"fmt"
	"hash/maphash"
	"sort"
	"strings"

	"github.com/axiomhq/hyperloglog"
	"github.com/tidwall/gjson"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// Coverage says what a comparison has seen, and what not: a verdict says nothing about
// what never came.
type Coverage struct {
	// Keys are about how many keys each side had, and Both how many of them both had.
	Keys [2]uint64
	Both uint64
	// Shapes are the kinds of messages that the incumbent had, by their headers and the
	// fields of their bodies, the most frequent first; Shapeless is how many messages are
	// of kinds beyond those that are told apart. Of bodies one in sixteen is looked at.
	Shapes    []Shape
	Shapeless uint64
	// Unseen names conditions that did not come up, in words for a person.
	Unseen []string
}

// A Shape is one kind of message.
type Shape struct {
	Text string
	N    uint64
}

// coverage gathers it. Not for concurrent use.
type coverage struct {
	keys      [2]*hyperloglog.Sketch
	shapes    map[uint64]*Shape
	shapeless uint64
	seen      condition
	sessions  [2]int
	n         uint64
	seed      maphash.Seed
}

// mostShapes is how many kinds of messages are told apart.
const mostShapes = 256

func newCoverage() *coverage {
	return &coverage{keys: [2]*hyperloglog.Sketch{hyperloglog.New14(), hyperloglog.New14()}, shapes: map[uint64]*Shape{}, seed: maphash.MakeSeed()}
}

// A condition is something that may come up in messages.
type condition uint32

const (
	nullBody condition = 1 << iota
	emptyBody
	over64KiB
	over1MiB
	headers
	repeatedHeader
	noKey
	noID
	expiring
)

var conditions = []struct {
	c    condition
	text string
}{
	{nullBody, "null bodies"}, {emptyBody, "empty bodies"}, {over64KiB, "bodies over 64 KiB"}, {over1MiB, "bodies over 1 MiB"},
	{headers, "headers"}, {repeatedHeader, "headers of one name more than once"}, {noKey, "messages without a key"},
	{noID, "messages without a producer's ID"}, {expiring, "messages that expire"},
}

// see takes in messages of a side that were not seen before.
func (c *coverage) see(side drift.Side, o *drift.Observation, m *bridge.Message) {
	c.keys[side].InsertHash(mixed(o.Key))
	if side != drift.Incumbent {
		return
	}
	c.seen |= conditionsOf(m)
	c.n++
	c.shape(m, c.n%bodiesSeen == 1)
}

// mixed spreads the 60 bits of a key over 64.
func mixed(key uint64) uint64 {
	key *= 0x9e3779b97f4a7c15
	return key ^ key>>29
}

func conditionsOf(m *bridge.Message) (c condition) {
	switch n := len(m.Body); {
	case m.Body == nil:
		c |= nullBody
	case n == 0:
		c |= emptyBody
	case n > 1<<20:
		c |= over64KiB | over1MiB
	case n > 1<<16:
		c |= over64KiB
	}
	if m.Key == "" {
		c |= noKey
	}
	if m.ID.IsZero() || m.ID.From != bridge.FromProducer {
		c |= noID
	}
	if !m.Expires.IsZero() {
		c |= expiring
	}
	if len(m.Headers) > 0 {
		c |= headers
	}
	for i := 1; i < len(m.Headers); i++ {
		for j := range min(i, 8) {
			if m.Headers[i].Name == m.Headers[i-1-j].Name {
				c |= repeatedHeader
			}
		}
	}
	return c
}

// bodiesSeen is one in how many bodies is looked into.
const bodiesSeen = 16

// shape counts the kind of a message: that of its headers and, now and then, that of its
// body. Neither headers nor fields have an order: not every system and producer keeps one.
func (c *coverage) shape(m *bridge.Message, body bool) {
	var h maphash.Hash
	h.SetSeed(c.seed)
	part := func(name, kind string) uint64 {
		h.Reset()
		_, _ = h.WriteString(name) // never fails, as what follows
		_ = h.WriteByte(0)
		_, _ = h.WriteString(kind)
		return h.Sum64()
	}
	sum := uint64(0)
	for i := range m.Headers {
		sum += part(m.Headers[i].Name, string(m.Headers[i].Type.Letter()))
	}
	c.count(sum, func() string { return describeHeaders(m) })
	if !body {
		return
	}
	switch sum = part("", "body"); {
	case m.Body == nil:
		sum = part("", "no body")
	case len(m.Body) == 0:
		sum = part("", "an empty body")
	}
	eachField(m.Body, func(name, kind string) { sum += part(name, kind) })
	c.count(sum, func() string { return describeBody(m) })
}

func (c *coverage) count(key uint64, text func() string) {
	s := c.shapes[key]
	switch {
	case s == nil && len(c.shapes) >= mostShapes:
		c.shapeless++
		return
	case s == nil:
		s = &Shape{Text: text()}
		c.shapes[key] = s
	}
	s.N++
}

// mostFields is how many fields of a body count.
const mostFields = 32

// eachField calls f with the fields of a JSON object, as they come, and what each is.
func eachField(body []byte, f func(name, kind string)) {
	if len(body) < 2 || body[0] != '{' || len(body) > 1<<16 {
		return
	}
	n := 0
	gjson.ParseBytes(body).ForEach(func(name, value gjson.Result) bool {
		n++
		f(name.Str, kindOf(value.Type))
		return n < mostFields
	})
}

// kindOf is what a value is: of which kind of message one is, no value says.
func kindOf(t gjson.Type) string {
	if t == gjson.True || t == gjson.False {
		return "boolean"
	}
	return strings.ToLower(t.String())
}

func describeHeaders(m *bridge.Message) string {
	var parts []string
	for i := range m.Headers {
		parts = append(parts, fmt.Sprintf("%s %c", bridge.Printable(m.Headers[i].Name, 40), m.Headers[i].Type.Letter()))
	}
	if len(parts) == 0 {
		return "no headers"
	}
	return "headers " + strings.Join(parts[:min(len(parts), 12)], ", ")
}

func describeBody(m *bridge.Message) string {
	var names []string
	eachField(m.Body, func(name, kind string) { names = append(names, bridge.Printable(name, 40)+" "+kind) })
	what := "octets"
	switch {
	case len(names) > 0:
		what = "JSON with " + strings.Join(names[:min(len(names), 12)], ", ")
	case m.Body == nil:
		what = "null"
	case len(m.Body) == 0:
		what = "empty"
	}
	return fmt.Sprintf("bodies, of which 1 in %d is looked into: %s", bodiesSeen, what)
}

// session notes that a side's session began.
func (c *coverage) session(side drift.Side) { c.sessions[side]++ }

// report says what was seen.
func (c *coverage) report() Coverage {
	r := Coverage{Shapeless: c.shapeless}
	for side := range c.keys {
		r.Keys[side] = c.keys[side].Estimate()
	}
	both := c.keys[0].Clone()
	if both.Merge(c.keys[1]) == nil {
		if sum, all := r.Keys[0]+r.Keys[1], both.Estimate(); sum > all {
			r.Both = min(sum-all, r.Keys[0], r.Keys[1])
		}
	}
	for _, s := range c.shapes {
		r.Shapes = append(r.Shapes, *s)
	}
	sort.Slice(r.Shapes, func(i, j int) bool {
		a, b := r.Shapes[i], r.Shapes[j]
		return a.N > b.N || a.N == b.N && a.Text < b.Text
	})
	for _, k := range conditions {
		if c.seen&k.c == 0 {
			r.Unseen = append(r.Unseen, k.text)
		}
	}
	for side, n := range c.sessions {
		if n < 2 {
			r.Unseen = append(r.Unseen, "a broken connection to the "+drift.Side(side).String())
		}
	}
	return r
}
