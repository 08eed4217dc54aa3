package compare

import (
	"slices"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// A Frame is a message as a reader had it.
type Frame struct {
	Side    drift.Side
	Seen    drift.Observation
	Message bridge.Message
	// Stored is where that side holds it.
	Stored bridge.Origin
	// Read is when the reader had it.
	Read time.Time
}

// A Recorder keeps the newest messages of each side, as many as fit into so many octets,
// so that a difference can be shown with what went before it. Looking for messages takes
// time for all that it holds, keeping one takes none for others. Not for concurrent use.
type Recorder struct {
	budget int // octets a side
	rings  [2]ring
}

// A ring holds frames, oldest first, from head on.
type ring struct {
	frames []Frame
	head   int
	octets int
}

// NewRecorder makes a Recorder of so many octets for each side.
func NewRecorder(octets int) *Recorder { return &Recorder{budget: octets} }

// Keep holds a message, whose slices are the Recorder's from now on: nobody changes them
// any more.
func (r *Recorder) Keep(f Frame) {
	ring := &r.rings[f.Side]
	ring.octets += size(&f.Message)
	ring.frames = append(ring.frames, f)
	for ring.octets > r.budget && ring.head < len(ring.frames) {
		ring.octets -= size(&ring.frames[ring.head].Message)
		ring.frames[ring.head] = Frame{}
		ring.head++
	}
	if ring.head > len(ring.frames)/2+64 {
		n := copy(ring.frames, ring.frames[ring.head:])
		clear(ring.frames[n:])
		ring.frames, ring.head = ring.frames[:n], 0
	}
}

// frameSize is what a frame takes beside what its message points to.
const frameSize = 400

// size is about what a message takes.
func size(m *bridge.Message) int {
	n := frameSize + len(m.Key) + len(m.ID.Value) + len(m.Address.Space) + len(m.Address.Name) + len(m.Body) + len(m.Via)
	for i := range m.Headers {
		n += 48 + len(m.Headers[i].Name) + len(m.Headers[i].Value)
	}
	return n + 48*len(m.Properties)
}

// Latest is the newest message of a side with that key and ID, by their hashes.
func (r *Recorder) Latest(side drift.Side, key, id uint64) (f Frame, ok bool) {
	for _, f := range slices.Backward(r.held(side)) {
		if f.Seen.Key == key && f.Seen.ID == id {
			return f, true
		}
	}
	return f, false
}

// History is what each side had of a key around one of its messages, up to n before and n
// behind it, in the order in which it was read. Where a side has not the message, what is
// around it is told by those that came before it on the other side.
func (r *Recorder) History(key, id uint64, n int) []Frame {
	var of [2][]Frame
	for side := range drift.Side(2) {
		for _, f := range r.held(side) {
			if f.Seen.Key == key {
				of[side] = append(of[side], f)
			}
		}
	}
	at := [2]int{last(of[0], id), last(of[1], id)}
	for side := range at {
		other := 1 - side
		for i := at[other]; at[side] < 0 && i > 0; i-- {
			at[side] = last(of[side], of[other][i-1].Seen.ID)
		}
	}
	var all []Frame
	for side, held := range of {
		if at[side] < 0 {
			at[side] = len(held)
		}
		all = append(all, held[max(0, at[side]-n):min(len(held), at[side]+n+1)]...)
	}
	slices.SortStableFunc(all, func(a, b Frame) int { return a.Read.Compare(b.Read) })
	return all
}

// last is the index of the newest of that ID, or -1.
func last(held []Frame, id uint64) int {
	for i, f := range slices.Backward(held) {
		if f.Seen.ID == id {
			return i
		}
	}
	return -1
}

func (r *Recorder) held(side drift.Side) []Frame {
	ring := &r.rings[side]
	return ring.frames[ring.head:]
}

// Octets is about what the Recorder holds.
func (r *Recorder) Octets() int { return r.rings[0].octets + r.rings[1].octets }

// Reach is since when a side is held; zero if nothing is.
func (r *Recorder) Reach(side drift.Side) time.Time {
	if held := r.held(side); len(held) > 0 {
		return held[0].Read
	}
	return time.Time{}
}
