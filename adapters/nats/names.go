package nats

import (
	"fmt"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// emptyToken stands for a token without octets, which subjects cannot have. It
// is not written for any other: an escape is always "%XX".
const emptyToken = "%"

// subjectSafe accepts the octets that stand for themselves in a subject. NATS
// takes more: all but white space, and dots and wildcards as whole tokens. But
// what looks like a wildcard cannot be subscribed to by name, '$' opens the
// server's own subjects, and the rest of ASCII has a meaning in some client.
func subjectSafe(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '_', '/', ':', '=', '+', '@', ',', '~', '!', '#', '(', ')', '[', ']', '&', ';', '|', '^':
		return true
	}
	return false
}

// appendSubject is the bridge.Encoder of subjects: injective and, by
// decodeSubject, reversible, for any octets.
func appendSubject(dst []byte, value string, dotted bool) ([]byte, error) {
	if !dotted {
		return appendToken(dst, value), nil
	}
	for {
		token, rest, more := strings.Cut(value, ".")
		dst = appendToken(dst, token)
		if !more {
			return dst, nil
		}
		dst = append(dst, '.')
		value = rest
	}
}

func appendToken(dst []byte, token string) []byte {
	if token == "" {
		return append(dst, emptyToken...)
	}
	return bridge.AppendEscaped(dst, token, subjectSafe)
}

// decodeSubject is the inverse of appendSubject.
func decodeSubject(subject string) (string, error) {
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		if t == emptyToken {
			tokens[i] = ""
			continue
		}
		u, err := bridge.Unescape(t)
		if err != nil {
			return "", err
		}
		tokens[i] = u
	}
	return strings.Join(tokens, "."), nil
}

// tokenOf is one token, or part of a stream's name, made of any octets.
func tokenOf(name string) string { return string(appendToken(nil, name)) }

// assetOf is tokenOf for stream names, which have no '/'.
func assetOf(name string) string { return strings.ReplaceAll(tokenOf(name), "/", "%2F") }

// validAsset says that name can be a stream's.
func validAsset(name string) bool {
	return name != "" && !strings.ContainsAny(name, " \t\r\n\f.*>\\/\x00")
}

// validFilter says that a subject may be subscribed to.
func validFilter(subject string) error {
	tokens := strings.Split(subject, ".")
	for i, t := range tokens {
		switch {
		case t == "":
			return fmt.Errorf("%q has an empty token", subject)
		case strings.ContainsAny(t, " \t\r\n\f\x00"):
			return fmt.Errorf("%q has white space in it", subject)
		case t == ">" && i < len(tokens)-1:
			return fmt.Errorf("%q: '>' may only be the last token", subject)
		}
	}
	return nil
}

// validTemplate says that the literal parts of a template make subjects.
func validTemplate(t *bridge.Template) error {
	for _, token := range strings.Split(t.String(), ".") {
		switch {
		case strings.HasPrefix(token, "{"): // a placeholder; the parser has read it
		case token == "":
			return fmt.Errorf("%q has an empty token", t)
		case strings.ContainsAny(token, " \t\r\n\f\x00*>"):
			return fmt.Errorf("%q: a subject to publish to has no wildcards and no white space", t)
		}
	}
	return nil
}

// matches says that a subject to publish to falls under filter.
func matches(filter, subject string) bool {
	for {
		f, fRest, fMore := strings.Cut(filter, ".")
		s, sRest, sMore := strings.Cut(subject, ".")
		switch {
		case f == ">":
			return true
		case f != "*" && f != s, fMore != sMore:
			return false
		case !fMore:
			return true
		}
		filter, subject = fRest, sRest
	}
}

func matchesAny(filters []string, subject string) bool {
	for _, f := range filters {
		if matches(f, subject) {
			return true
		}
	}
	return false
}

// overlap says that some subject falls under both filters.
func overlap(a, b string) bool {
	for {
		x, xRest, xMore := strings.Cut(a, ".")
		y, yRest, yMore := strings.Cut(b, ".")
		switch {
		case x == ">" || y == ">":
			return true
		case x != y && x != "*" && y != "*", xMore != yMore:
			return false
		case !xMore:
			return true
		}
		a, b = xRest, yRest
	}
}

// reach says how the subjects that t makes relate to the filters of a stream.
type reach uint8

const (
	reachNone reach = iota // no subject can fall under any filter
	reachSome              // it depends on the message
	reachAll               // every subject falls under one
)

func reachOf(t *bridge.Template, filters []string) reach {
	if s, ok := t.Literal(); ok {
		if matchesAny(filters, s) {
			return reachAll
		}
		return reachNone
	}
	prefix := ""
	if !strings.HasPrefix(t.String(), "{") {
		prefix = t.Prefix() // ends with a dot: a placeholder begins a token
	}
	best := reachNone
	for _, f := range filters {
		best = max(best, prefixReach(prefix, f))
	}
	return best
}

// prefixReach compares the tokens in front of the first placeholder, which
// stands for at least one token, with a filter.
func prefixReach(prefix, filter string) reach {
	for prefix != "" {
		p, pRest, _ := strings.Cut(prefix, ".")
		f, fRest, fMore := strings.Cut(filter, ".")
		switch {
		case f == ">":
			return reachAll
		case f != "*" && f != p, !fMore:
			return reachNone
		}
		prefix, filter = pRest, fRest
	}
	if filter == ">" {
		return reachAll
	}
	return reachSome
}
