package bridge

import "strings"

// Passed says that the relay of that Identity.String carried the message.
func (m *Message) Passed(relay string) bool {
	name := viaName(relay)
	for via := m.Via; via != ""; {
		var one string
		if one, via, _ = strings.Cut(via, " "); one == name && name != "" {
			return true
		}
	}
	return false
}

// AppendVia is Via with one more relay, which carries the message on, by its
// Identity.String: oldest first, each escaped, with a space in between.
func (m *Message) AppendVia(relay string) string {
	name := viaName(relay)
	if m.Via == "" {
		return name
	}
	return m.Via + " " + name
}

// viaName is how Via spells a relay: as it is, where it was named in a configuration.
func viaName(relay string) string {
	for i := range len(relay) {
		if !viaSafe(relay[i]) {
			return string(AppendEscaped(nil, relay, viaSafe))
		}
	}
	return relay
}

func viaSafe(c byte) bool { return tokenSafe(c) || c == '/' || c == '.' }
