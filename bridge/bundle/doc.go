// Package bundle keeps what shows a difference, in one file: the messages as both sides
// have them, where and when each was read, what the key's messages before it were, and
// what the comparison went by. Replay comes to the same verdict from it, on any machine and
// without either system.
//
//	compare.Evidence ─► Of ─► Redact ─► Write ─► FILE ─► Read ─► Replay
package bundle
