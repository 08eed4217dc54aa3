package park

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The octets of a journal's record: a part header, then a piece of the items.
//
//	"CFP1" group(8) part(4) parts(4) | items…
const (
	magic      = "CFP1"
	partHeader = len(magic) + 8 + 4 + 4
)

// A group tells the parts of one record from those of others. With the index of
// an item it makes the item's Ref.
type group [8]byte

func newGroup() (g group) {
	_, _ = rand.Read(g[:]) // never fails, by its documentation
	return g
}

func (g group) ref(index int) string { return hex.EncodeToString(g[:]) + "." + strconv.Itoa(index) }

// split cuts a payload into records of at most most octets.
func split(g group, payload []byte, most int) ([][]byte, error) {
	room := most - partHeader
	if room < 1 {
		return nil, bridge.Fatal(fmt.Errorf("park: the journal takes only %d octets a record", most), "Raise the message size limit of the incumbent.")
	}
	parts := max(1, (len(payload)+room-1)/room)
	records := make([][]byte, 0, parts)
	for i := range parts {
		piece := payload[i*room : min((i+1)*room, len(payload))]
		b := append(make([]byte, 0, partHeader+len(piece)), magic...)
		b = append(b, g[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(i))
		b = binary.BigEndian.AppendUint32(b, uint32(parts))
		records = append(records, append(b, piece...))
	}
	return records, nil
}

// A joiner puts the parts of records together again. Parts of several groups may
// stand in between each other: a process that was stopped may finish its record
// after its successor has begun one.
type joiner struct {
	open []*partial // oldest first
}

// A partial is a group of which not all parts have been read.
type partial struct {
	group   group
	next    uint32
	payload []byte
}

// mostOpen bounds what crashes may have left unfinished behind each other.
const mostOpen = 16

// add takes the next record of a journal and gives the payload that it
// completes, or nil.
func (j *joiner) add(record []byte) (g group, payload []byte, err error) {
	if len(record) < partHeader || string(record[:len(magic)]) != magic {
		return g, nil, fmt.Errorf("park: not a record of parked messages (%d octets)", len(record))
	}
	copy(g[:], record[len(magic):])
	part := binary.BigEndian.Uint32(record[len(magic)+8:])
	parts := binary.BigEndian.Uint32(record[len(magic)+12:])
	if parts == 1 && part == 0 {
		return g, record[partHeader:], nil
	}
	i := slices.IndexFunc(j.open, func(p *partial) bool { return p.group == g })
	if part == 0 && i < 0 {
		if len(j.open) == mostOpen {
			j.open = slices.Delete(j.open, 0, 1)
		}
		i = len(j.open)
		j.open = append(j.open, &partial{group: g})
	}
	if i < 0 || part != j.open[i].next || part >= parts {
		return g, nil, nil // the rest of a group whose beginning is gone, or a repeat
	}
	p := j.open[i]
	p.payload = append(p.payload, record[partHeader:]...)
	if p.next++; p.next < parts {
		return g, nil, nil
	}
	j.open = slices.Delete(j.open, i, i+1)
	return g, p.payload, nil
}
