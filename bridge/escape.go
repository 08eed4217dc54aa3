package bridge

import (
	"fmt"
	"unicode/utf8"
)

const hexDigits = "0123456789ABCDEF"

// AppendEscaped appends s with every octet that safe refuses written as %XX.
// '%' itself is always escaped, so the encoding is injective for any safe.
func AppendEscaped(dst []byte, s string, safe func(byte) bool) []byte {
	from := 0 // what follows it, up to i, is as it is
	for i := range len(s) {
		if c := s[i]; c == '%' || !safe(c) {
			dst = append(append(dst, s[from:i]...), '%', hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
		}
	}
	return append(dst, s[from:]...)
}

// Unescape is the inverse of AppendEscaped for every safe. It refuses what
// AppendEscaped never writes at the end of a string or with non-hex digits.
func Unescape(s string) (string, error) {
	i := 0
	for i < len(s) && s[i] != '%' {
		i++
	}
	if i == len(s) {
		return s, nil
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for ; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("escape cut short in %q", Printable(s, 64))
		}
		hi, ok1 := unhex(s[i+1])
		lo, ok2 := unhex(s[i+2])
		if !ok1 || !ok2 {
			return "", fmt.Errorf("bad escape %q in %q", s[i:i+3], Printable(s, 64))
		}
		b = append(b, hi<<4|lo)
		i += 2
	}
	return string(b), nil
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// tokenSafe accepts the octets that mean nothing special to any system's names
// nor to the bridge's own encodings.
func tokenSafe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == ':' || c == '+' || c == '=' || c == '@' || c == ','
}

// Printable makes s fit for a log line or a terminal: control characters,
// invalid UTF-8 and quotes are escaped, and it is cut at limit runes.
func Printable(s string, limit int) string {
	b := make([]byte, 0, min(len(s), limit)+8)
	n := 0
	for len(s) > 0 {
		if n == limit {
			return string(append(b, "…"...))
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1, r < 0x20, r == 0x7f, r >= 0x80 && r < 0xa0, r == '"', r == '\u2028', r == '\u2029', r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			for i := range size {
				b = append(b, '\\', 'x', hexDigits[s[i]>>4], hexDigits[s[i]&15])
			}
		default:
			b = append(b, s[:size]...)
		}
		s = s[size:]
		n++
	}
	return string(b)
}
