package dedupe

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// A Fingerprint stands for an identity: 128 bits of XXH3 in canonical
// (big-endian) order.
type Fingerprint [16]byte

// Of is the fingerprint of an identity. A global ID is unique by itself, and the
// key plays no part; otherwise it is unique among the messages of its key only,
// and the same ID under two keys is two identities. // I4
//
// What is hashed is the scope ('g' or 'k'), then for 'k' the key's length (as an
// unsigned varint) and the key, then the ID; no two identities share that text.
func Of(global bool, key, id string) Fingerprint {
	var room [256]byte // longer ones take an allocation
	b := room[:0]
	if global {
		b = append(b, 'g')
	} else {
		b = append(b, 'k')
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
	}
	b = append(b, id...)
	return xxh3.Hash128(b).Bytes()
}
