package ordering

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// shardSeed sets shards apart from keys, so that the hash of a shard is not that
// of a key with the same four octets. Like all of Hash it never changes.
const shardSeed = 0x9E3779B97F4A7C15

// Hash is the hash of an ordering key: XXH3 with 64 bits. The empty key stands
// for everything in a source shard that has no key, so it goes by its shard;
// any other key goes by itself, whatever its shard. The values are stable across
// processes, machines and releases. They are no protection against keys that
// were chosen to collide: such keys share a lane, and lose nothing but speed.
func Hash(key string, shard int32) uint64 {
	if key != "" {
		return xxh3.HashString(key)
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(shard))
	return xxh3.HashSeed(b[:], shardSeed)
}

// Lane is the lane that owns a key, 0 ≤ lane < lanes. With one lane or fewer it
// is 0. Lanes are equal slices of the range of Hash, so it is the high bits that
// choose a lane, and the low bits are still spread within one.
func Lane(key string, shard int32, lanes int) int {
	if lanes <= 1 {
		return 0
	}
	lane, _ := bits.Mul64(Hash(key, shard), uint64(lanes))
	return int(lane)
}
