package kafka

import "github.com/crossfade-mq/crossfade/bridge"

// A room is memory that the messages of one batch share, so that a message costs no
// allocation of its own, and the messages of a batch keep no other batch alive. Without
// one, as in the nil room, each message has its own. What is given stays the message's.
type room struct {
	left    int               // records of the batch that have no message yet
	keys    []bridge.Property // not given yet
	headers []bridge.Header   // likewise
}

// mostRoom bounds what is made before a batch's records have been seen.
const mostRoom = 4096

// begin makes room for the messages of a batch of so many records.
func (r *room) begin(records int) {
	r.left = min(records, mostRoom)
	r.keys, r.headers = make([]bridge.Property, r.left), nil
}

// key gives an empty slice for the record's key among the properties: it is the first
// that a message asks for.
func (r *room) key() []bridge.Property {
	if r == nil || len(r.keys) == 0 {
		return nil
	}
	key := r.keys[:0:1]
	r.keys = r.keys[1:]
	r.left--
	return key
}

// header gives an empty slice for n headers. The records still to come are taken to have
// as many.
func (r *room) header(n int) []bridge.Header {
	if r == nil {
		return make([]bridge.Header, 0, n)
	}
	if len(r.headers) < n {
		r.headers = make([]bridge.Header, max(n, min(n*(r.left+1), mostRoom)))
	}
	headers := r.headers[:0:n]
	r.headers = r.headers[n:]
	return headers
}
