package dedupe

import "math/bits"

// minSlots is the smallest table of a Set.
const minSlots = 16

// A Set holds the fingerprints of what is in flight, and how often each was
// added. It grows with the largest number of fingerprints held at once, frees
// what is removed at once, leaves no tombstones behind, and allocates nothing
// while no more are held than ever before.
type Set struct {
	slots []entry // open addressing, linear probing; a power of two, at most half in use
	used  int
	shift uint // 64 − log2(len(slots))
	seed  seed
}

// An entry is a fingerprint and how often it was added; 0 is a free slot.
type entry struct {
	fp Fingerprint
	n  uint32
}

// NewSet makes an empty Set with room for hint fingerprints. It grows by itself.
func NewSet(hint int) *Set {
	s := &Set{seed: newSeed()}
	size := minSlots
	if hint > minSlots/2 {
		size = 1 << bits.Len(uint(2*hint-1))
	}
	s.allocate(size)
	return s
}

func (s *Set) allocate(size int) {
	s.slots = make([]entry, size)
	s.shift = uint(64 - bits.Len(uint(size-1)))
}

// Add enters fp, once more if it is there already.
func (s *Set) Add(fp Fingerprint) {
	i := s.find(&fp)
	if s.slots[i].n == 0 {
		s.take(i, &fp)
		return
	}
	s.slots[i].n++
}

// Enter adds fp unless it is there already, and says whether it was added.
func (s *Set) Enter(fp Fingerprint) (fresh bool) {
	i := s.find(&fp)
	if s.slots[i].n != 0 {
		return false
	}
	s.take(i, &fp)
	return true
}

// take fills the free slot i, or where it belongs once the table has grown.
func (s *Set) take(i int, fp *Fingerprint) {
	if 2*(s.used+1) > len(s.slots) {
		s.grow()
		i = s.find(fp)
	}
	s.slots[i] = entry{*fp, 1}
	s.used++
}

// Remove takes back one Add of fp. It is gone when as many were taken back as
// were made. One that is not there is ignored.
func (s *Set) Remove(fp Fingerprint) {
	i := s.find(&fp)
	switch s.slots[i].n {
	case 0:
	case 1:
		s.erase(i)
	default:
		s.slots[i].n--
	}
}

// Has says whether fp is there.
func (s *Set) Has(fp Fingerprint) bool { return s.slots[s.find(&fp)].n != 0 }

// Len is how many different fingerprints are there.
func (s *Set) Len() int { return s.used }

// Reset empties the Set and keeps the memory for reuse.
func (s *Set) Reset() {
	clear(s.slots)
	s.used = 0
}

func (s *Set) home(fp *Fingerprint) int { return int(s.seed.mix(fp) >> s.shift) }

// find gives the slot of fp, or the free one where it belongs.
func (s *Set) find(fp *Fingerprint) int {
	mask := len(s.slots) - 1
	i := s.home(fp) & mask
	for s.slots[i].n != 0 && s.slots[i].fp != *fp {
		i = (i + 1) & mask
	}
	return i
}

// erase empties slot i and moves back those behind it that would not be found any
// more.
func (s *Set) erase(i int) {
	mask := len(s.slots) - 1
	for j := (i + 1) & mask; s.slots[j].n != 0; j = (j + 1) & mask {
		if (j-s.home(&s.slots[j].fp))&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = entry{}
	s.used--
}

// grow doubles the table.
func (s *Set) grow() {
	old := s.slots
	s.allocate(2 * len(old))
	for i := range old {
		if old[i].n != 0 {
			s.slots[s.find(&old[i].fp)] = old[i]
		}
	}
}
