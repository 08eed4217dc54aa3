// Package park sets aside messages that can never be delivered as they are, with
// the reason and their original octets, in a journal of the incumbent, or in a
// file where the incumbent keeps no journals.
//
//	relay ── Reject ──► Place.Park ── record(s) ──► Journal (confirmed) ──► settled
//
// A record that is larger than the journal takes is cut into parts; a reader
// passes over groups whose last part was never written, which a crash leaves.
// The message of such a group was never acknowledged, so it comes again.
package park
