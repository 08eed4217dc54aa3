package drift

// An entry is a message of one side that waits for its counterpart, or, at the
// candidate, for its turn to be judged. It holds no pointer, so that the garbage
// collector need not look at any of them.
type entry struct {
	id, body    uint64
	head, place uint32
	ord         uint32 // of the message among its key's at the incumbent
	at          uint32 // milliseconds since the comparison's epoch, modulo 2^32
	next        uint32 // in its list, or among the free; 0 is none
	shard       uint16
	flags       entryFlags
}

type entryFlags uint8

const (
	anonymous entryFlags = 1 << iota
	paired               // its counterpart was found
	expires              // it is in expiries
)

const (
	chunkBits = 14
	chunkSize = 1 << chunkBits
)

// A slab holds entries by number, from 1 on, in chunks that are never moved.
type slab struct {
	chunks []*[chunkSize]entry
	used   uint32 // the highest number given so far
	free   uint32
}

func (s *slab) at(n uint32) *entry { return &s.chunks[n>>chunkBits][n&(chunkSize-1)] }

// take gives a number whose entry is of any content.
func (s *slab) take() (uint32, *entry) {
	if n := s.free; n != 0 {
		e := s.at(n)
		s.free = e.next
		return n, e
	}
	s.used++
	if int(s.used>>chunkBits) == len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkSize]entry))
	}
	return s.used, s.at(s.used)
}

func (s *slab) give(n uint32, e *entry) {
	e.next = s.free
	s.free = n
}

func (s *slab) octets() int { return len(s.chunks) * chunkSize * entrySize }

const entrySize = 40
