package dedupe

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"github.com/zeebo/xxh3"
)

// FromOrigin is an ID for a message that is stored at a position to which a
// reader can return: the same stored message always gets the same one, and no
// two stored messages share it. It is 32 hexadecimal digits for the stream's
// life (system, cluster, stream and incarnation), the shard and the offset, as
// in "59a3…c1-0-1234". It is of no use where an offset only counts deliveries.
func FromOrigin(system, cluster, stream, incarnation string, shard int32, offset uint64) string {
	var room [256]byte
	b := room[:0]
	for _, part := range [...]string{system, cluster, stream, incarnation} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	life := xxh3.Hash128(b).Bytes()

	var text [64]byte
	id := hex.AppendEncode(text[:0], life[:])
	id = append(id, '-')
	id = strconv.AppendInt(id, int64(shard), 10)
	id = append(id, '-')
	id = strconv.AppendUint(id, offset, 10)
	return string(id)
}

// FromContent is an ID for a message that has neither an ID of its own nor a
// position: 32 hexadecimal digits, the first half of a SHA-256 over the parts.
// Each part counts with its length and its place, and a nil part is not an empty
// one. Legitimate repetitions of a message share it, so it tells that two
// messages are alike, not that one is a repeat of the other. // I4
//
// What is hashed is, for each part, one octet (0 for nil, else 1), the length
// as an unsigned varint, and the octets.
func FromContent(parts ...[]byte) string {
	h := sha256.New()
	var frame [1 + binary.MaxVarintLen64]byte
	for _, part := range parts {
		frame[0] = 1
		if part == nil {
			frame[0] = 0
		}
		h.Write(binary.AppendUvarint(frame[:1], uint64(len(part))))
		h.Write(part)
	}
	var sum [sha256.Size]byte
	return hex.EncodeToString(h.Sum(sum[:0])[:16])
}
