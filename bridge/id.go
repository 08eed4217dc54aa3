package bridge

import "fmt"

// An ID is the dedup identity of a message: a value, the scope within which it
// is unique, and where it came from. It is the same on every system. // I4
type ID struct {
	// Value is the exact octets of the producer's own ID, or the derived text.
	// Empty means that the message has no identity.
	Value string
	Scope Scope
	From  Provenance
}

// A Scope says among which messages an ID's value is unique.
type Scope uint8

// The scopes of an ID.
const (
	ScopeKey    Scope = iota // among the messages of one key; the default
	ScopeGlobal              // among all messages of a relay
)

// String is the scope's name in the configuration.
func (s Scope) String() string {
	if s == ScopeGlobal {
		return "global"
	}
	return "key"
}

// A Provenance says where an ID came from, and so what it may be used for.
type Provenance uint8

// The provenances of an ID.
const (
	// FromProducer is the producer's own ID.
	FromProducer Provenance = iota
	// FromOrigin is derived from a replayable origin: the same stored message
	// always has the same one, and no two stored messages share it.
	FromOrigin
	// FromContent is derived from the content. Legitimate repetitions share it,
	// so it is carried and compared, but suppresses nothing unless asked to.
	FromContent
)

// IsZero says that the message has no identity.
func (id ID) IsZero() bool { return id.Value == "" }

// Suppresses says whether a repeat of this ID may be told from a legitimate
// repetition, and hence suppressed. // I4
func (id ID) Suppresses() bool { return id.Value != "" && id.From != FromContent }

// Text is the injective, printable, space-free encoding of scope, provenance,
// key and value that the bridge carries in crossfade-id, and in a target's own
// dedup field: "kp~KEY~VALUE". ParseID reads it back.
func (id ID) Text(key string) string {
	return string(id.AppendText(make([]byte, 0, 8+len(key)+len(id.Value)), key))
}

// AppendText is Text, appended to dst.
func (id ID) AppendText(dst []byte, key string) []byte {
	dst = append(dst, "kg"[id.Scope&1], "poc?"[id.From&3], '~')
	dst = AppendEscaped(dst, key, idSafe)
	dst = append(dst, '~')
	return AppendEscaped(dst, id.Value, idSafe)
}

// AppendNative is what goes into a target's own dedup field: the value itself
// where it is global, the producer's own and survives every system's trimming,
// else Text. The two forms never collide, so the encoding is injective in
// (scope, key within the scope, value).
func (id ID) AppendNative(dst []byte, key string) []byte {
	if id.Scope == ScopeGlobal {
		if id.From == FromProducer && plain(id.Value) {
			return append(dst, id.Value...)
		}
		key = ""
	}
	return id.AppendText(dst, key)
}

// idSafe accepts printable ASCII without space and without the separators.
func idSafe(c byte) bool { return c > 0x20 && c < 0x7f && c != '~' && c != '%' }

func plain(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return len(s) > 0 && !hasIDPrefix(s)
}

func hasIDPrefix(s string) bool {
	return len(s) >= 3 && s[2] == '~' && (s[0] == 'k' || s[0] == 'g') && (s[1] == 'p' || s[1] == 'o' || s[1] == 'c')
}

// ParseID reads what Text wrote: the ID and the key.
func ParseID(s string) (ID, string, error) {
	if !hasIDPrefix(s) {
		return ID{}, "", fmt.Errorf("id %q: want scope and provenance as in \"kp~key~value\"", Printable(s, 64))
	}
	id := ID{}
	if s[0] == 'g' {
		id.Scope = ScopeGlobal
	}
	switch s[1] {
	case 'o':
		id.From = FromOrigin
	case 'c':
		id.From = FromContent
	}
	rest := s[3:]
	for i := range len(rest) {
		if rest[i] != '~' {
			continue
		}
		key, err := Unescape(rest[:i])
		if err != nil {
			return ID{}, "", fmt.Errorf("id: key: %w", err)
		}
		if id.Value, err = Unescape(rest[i+1:]); err != nil {
			return ID{}, "", fmt.Errorf("id: value: %w", err)
		}
		return id, key, nil
	}
	return ID{}, "", fmt.Errorf("id %q: no '~' between key and value", Printable(s, 64))
}

// ParseNativeID reads what AppendNative wrote.
func ParseNativeID(s string) (ID, string, error) {
	if hasIDPrefix(s) {
		return ParseID(s)
	}
	return ID{Value: s, Scope: ScopeGlobal}, "", nil
}
