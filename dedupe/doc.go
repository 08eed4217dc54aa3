// Package dedupe tells a message that was seen before from one that is new. It
// gives messages an identity where they have none, makes fingerprints of
// identities, and remembers fingerprints: for a bridge that suppresses repeats,
// and as well for a consumer downstream that wants to be idempotent.
//
//	producer's ID ──┐
//	FromOrigin ─────┼─► Of(scope, key, ID) ─► Fingerprint ─► Set      in flight
//	FromContent ────┘                             │            │ confirmed
//	                                              ▼            ▼
//	                                   fresh or repeat? ◄── Window    placed
//
// A Window holds the newest so many fingerprints of what is placed for good. A
// Set holds those of what is on its way. An identity enters the Window when its
// message is confirmed, and not before: a message whose sending failed would
// otherwise be taken for a repeat of itself, and be lost. // I1
//
// Fingerprints are 128 bits of XXH3. Among a thousand million of them the chance
// that any two different identities share one is less than 1 in 10^21. XXH3 is
// no cryptographic hash: it does not protect against producers who work at
// making two of their own IDs collide. Fingerprints are stable across processes,
// machines and releases, so they may be stored.
//
// Nothing here locks, starts a goroutine or reads a clock. A Window or a Set
// belongs to its caller, who must not use it from two goroutines at once.
package dedupe
