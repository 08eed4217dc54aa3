package rabbitmq

import (
	"fmt"
	"strconv"
	"strings"
)

// positions are the offsets that were delivered and not all acknowledged, and
// those acknowledged ahead of others. The zero value begins at offset 0. The
// caller synchronises.
type positions struct {
	entries []entry // in the order of delivery, from the oldest not acknowledged on
	first   uint64  // the ticket of entries[0]
	next    uint64  // all before this offset are acknowledged
	skip    []span  // acknowledged ahead by an earlier session, ascending
	dirty   bool    // acknowledged since the last record
}

type entry struct {
	offset uint64
	done   bool
	mark   bool // of the bridge's own: to whom it comes again, it does no harm
}

// A span is a range of offsets, both ends included.
type span struct{ from, to uint64 }

// maxSpans bounds a record. What is acknowledged ahead in more pieces than that
// may come again after the session.
const maxSpans = 1000

// skips says that an earlier session has acknowledged that offset. Offsets are
// asked for in rising order.
func (p *positions) skips(offset uint64) bool {
	for len(p.skip) > 0 && p.skip[0].to < offset {
		p.skip = p.skip[1:]
	}
	return len(p.skip) > 0 && p.skip[0].from <= offset
}

// start notes a delivery and gives the ticket that acknowledges it.
func (p *positions) start(offset uint64, done bool) uint64 {
	ticket := p.first + uint64(len(p.entries))
	p.entries = append(p.entries, entry{offset: offset})
	if done {
		p.done(ticket)
	}
	return ticket
}

// pass notes a mark, which nobody acknowledges. Records leave it out, so that many among
// messages make no pieces of what is acknowledged ahead.
func (p *positions) pass(offset uint64) {
	p.done(p.start(offset, false))
	if n := len(p.entries); n > 0 {
		p.entries[n-1].mark = true
	}
}

// done acknowledges. Repeats and unknown tickets are passed over.
func (p *positions) done(ticket uint64) {
	i := ticket - p.first
	if i >= uint64(len(p.entries)) || p.entries[i].done {
		return
	}
	p.entries[i].done = true
	p.dirty = true
	n := 0
	for n < len(p.entries) && p.entries[n].done {
		p.next = p.entries[n].offset + 1
		n++
	}
	if n > 0 {
		p.first += uint64(n)
		p.entries = p.entries[n:]
	}
}

// record is what has to be kept: the next offset, then the ranges acknowledged
// ahead of it.
func (p *positions) record() string {
	var b strings.Builder
	b.WriteString(strconv.FormatUint(p.next, 10))
	for _, s := range p.ahead() {
		fmt.Fprintf(&b, " %d-%d", s.from, s.to)
	}
	return b.String()
}

// ahead are the ranges that are acknowledged above next. Offsets in a row that
// the stream never delivered join the ranges beside them.
func (p *positions) ahead() []span {
	var spans []span
	open := false
	for _, e := range p.entries {
		switch {
		case e.mark:
		case !e.done:
			open = false
		case open:
			spans[len(spans)-1].to = e.offset
		default:
			if len(spans) == maxSpans {
				return spans
			}
			spans, open = append(spans, span{e.offset, e.offset}), true
		}
	}
	for _, s := range p.skip { // not passed again yet
		if n := len(p.entries); n > 0 {
			s.from = max(s.from, p.entries[n-1].offset+1)
		}
		if s.from = max(s.from, p.next); s.from <= s.to && len(spans) < maxSpans {
			spans = append(spans, s)
		}
	}
	return spans
}

// parsePositions reads a record.
func parsePositions(words []string) (positions, error) {
	p := positions{}
	for i, w := range words {
		from, to, ranged := strings.Cut(w, "-")
		a, err := strconv.ParseUint(from, 10, 64)
		if err != nil || ranged != (i > 0) {
			return p, fmt.Errorf("position %q cannot be read", w)
		}
		if i == 0 {
			p.next = a
			continue
		}
		b, err := strconv.ParseUint(to, 10, 64)
		if err != nil || b < a {
			return p, fmt.Errorf("position %q cannot be read", w)
		}
		p.skip = append(p.skip, span{a, b})
	}
	if len(words) == 0 {
		return p, fmt.Errorf("there is no position")
	}
	return p, nil
}
