package relay

import "github.com/crossfade-mq/crossfade/bridge"

// loops says that a message which was not looked at before comes from the target: it
// is the message's origin, or this relay carried it before, or one carried it that
// leads the other way. Where neither is known, as when another bridge leads back
// under names of its own, a message comes round once, and its relays then tell.
// The relay's mutex is held.
func (l *lane) loops(e *entry) bool {
	if e.flags&(again|admitted) != 0 || bridge.Planted(bridge.BugLoopUnseen) {
		return false
	}
	m := &e.d.Message
	if l.looper != nil && l.looper.Loops(m) {
		return true
	}
	if m.Via == "" {
		return false
	}
	for _, relay := range l.r.own {
		if m.Passed(relay) {
			return true
		}
	}
	return false
}
