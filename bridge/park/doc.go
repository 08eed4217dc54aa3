// Package park sets aside messages that can never be delivered as they are, with
// the reason and their original octets, in a journal of the incumbent, or in a
// file where the incumbent keeps no journals.
//
//	relay ── Reject ──► Park ─────┐                         ┌─► Each ──► retry, list
//	      ── placed ──► Placed ───┼─► items ─► Journal ─────┤
//	operator ── retry, discard ───┘   (confirmed)           └─► what others noted
//
// A journal is only ever appended to: what becomes of a parked message later is a
// note behind it. So several processes may write, an operator's among them, and
// the journal read from its beginning is the whole truth.
//
// A record holds items: parked messages that were stored together, or a note. One
// that is larger than the journal takes is cut into parts; a reader passes over
// groups whose last part was never written, which a crash leaves. The messages of
// such a group were never acknowledged, so they come again.
package park
