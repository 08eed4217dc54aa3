// Package identify gives every delivery its key and its dedup ID, between the
// source and the relay.
//
//	source ──► Restore (hop headers) ──► identify ──► relay
//	                                       │
//	              key: address · token · header · property · JSON field · shard
//	              id:  header · property · JSON field · origin · content
//
// Without settings the key is the one that an earlier hop restored, else the
// address; and the ID is the one that an earlier hop restored, else the
// producer's own (the message-id property, the Nats-Msg-Id header), else derived
// from the origin where positions are replayable, else from the content. With
// settings, what they name comes first. The same stored message always gets the
// same key and the same ID, and never a random one. // I4
//
// A message without what the settings name gets the empty key, or a derived ID;
// both are counted, so that a slip in the settings shows.
package identify
