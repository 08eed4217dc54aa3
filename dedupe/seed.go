package dedupe

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// A seed scatters fingerprints over a table differently in every process, so
// that nobody can choose IDs that pile up in one place of it.
type seed struct{ a, b uint64 }

func newSeed() seed { return seed{rand.Uint64(), rand.Uint64()} }

// mix gives 64 well-spread bits of a fingerprint.
func (s seed) mix(fp *Fingerprint) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(fp[:8])^s.a, binary.LittleEndian.Uint64(fp[8:])^s.b)
	return hi ^ lo
}
