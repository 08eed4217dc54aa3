package bridge

import (
	"fmt"
	"strconv"
	"strings"
)

// A Template makes a name at the target out of a message:
// "telemetry.{address}", "{exchange}.{key}". Placeholders: {key}; {address},
// also written {routing_key}, {subject} or {topic}; {exchange}; {token:N}, the
// N-th dot-separated part of the address, from 1; {header:NAME};
// {property:NAME}. Different messages never get the same name by accident: what
// a placeholder holds is escaped to one token, only {address} keeps its dots,
// and placeholders have to be apart.
type Template struct {
	source string
	parts  []part
}

type part struct {
	literal string
	field   field
	arg     string
	n       int
}

type field uint8

const (
	fieldLiteral field = iota
	fieldKey
	fieldAddress
	fieldSpace
	fieldToken
	fieldHeader
	fieldProperty
)

var fieldNames = map[string]field{
	"key": fieldKey, "address": fieldAddress, "routing_key": fieldAddress, "subject": fieldAddress,
	"topic": fieldAddress, "exchange": fieldSpace, "token": fieldToken, "header": fieldHeader, "property": fieldProperty,
}

// ParseTemplate reads a template and refuses one that could give two different
// messages the same name.
func ParseTemplate(s string) (*Template, error) {
	t := &Template{source: s}
	rest, dotted, joined := s, 0, false
	for rest != "" {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			open = len(rest)
		}
		if open > 0 {
			lit := rest[:open]
			if strings.IndexByte(lit, '}') >= 0 {
				return nil, fmt.Errorf("template %q: '}' without '{'", s)
			}
			if joined && lit[0] != '.' {
				return nil, fmt.Errorf("template %q: a '.' has to follow a placeholder", s)
			}
			t.parts = append(t.parts, part{literal: lit})
			joined = false
			rest = rest[open:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return nil, fmt.Errorf("template %q: '{' without '}'", s)
		}
		p, err := parsePlaceholder(rest[1:end])
		if err != nil {
			return nil, fmt.Errorf("template %q: %w", s, err)
		}
		if joined {
			return nil, fmt.Errorf("template %q: two placeholders need a '.' between them", s)
		}
		if n := len(t.parts); n > 0 && !strings.HasSuffix(t.parts[n-1].literal, ".") {
			return nil, fmt.Errorf("template %q: a placeholder has to begin after a '.'", s)
		}
		if p.field == fieldAddress {
			if dotted++; dotted > 1 {
				return nil, fmt.Errorf("template %q: the address may stand in it once", s)
			}
		}
		t.parts = append(t.parts, p)
		joined = true
		rest = rest[end+1:]
	}
	if len(t.parts) == 0 {
		return nil, fmt.Errorf("template is empty")
	}
	return t, nil
}

func parsePlaceholder(s string) (part, error) {
	name, arg, hasArg := strings.Cut(s, ":")
	f, ok := fieldNames[name]
	if !ok {
		return part{}, fmt.Errorf("unknown placeholder {%s}; there are {key}, {address}, {exchange}, {token:N}, {header:NAME}, {property:NAME}", s)
	}
	p := part{field: f, arg: arg}
	if wants := f >= fieldToken; wants != hasArg || (wants && arg == "") {
		return part{}, fmt.Errorf("placeholder {%s}: %s", s, map[bool]string{true: "wants {" + name + ":…}", false: "takes nothing behind it"}[wants])
	}
	if f == fieldToken {
		n, err := strconv.Atoi(arg)
		if err != nil || n < 1 {
			return part{}, fmt.Errorf("placeholder {%s}: tokens count from 1", s)
		}
		p.n = n
	}
	if f == fieldProperty {
		k, ok := PropertyOfName(arg)
		if !ok {
			return part{}, fmt.Errorf("placeholder {%s}: no such property", s)
		}
		p.n = int(k)
	}
	return p, nil
}

// String is the template as written.
func (t *Template) String() string { return t.source }

// Literal gives the name if the template has no placeholder.
func (t *Template) Literal() (string, bool) {
	if len(t.parts) == 1 && t.parts[0].field == fieldLiteral {
		return t.parts[0].literal, true
	}
	return "", false
}

// Prefix is the literal text in front of the first placeholder.
func (t *Template) Prefix() string { return t.parts[0].literal }

// An Encoder appends one value in the target's spelling. dotted says that dots
// separate tokens and stay; otherwise the value is a single token and its dots
// are escaped. It has to be injective for each value of dotted.
type Encoder func(dst []byte, value string, dotted bool) ([]byte, error)

// Append appends the name that m gets. An error is a Reject: the message has not
// what the template asks for, or the target cannot spell it.
func (t *Template) Append(dst []byte, m *Message, encode Encoder) ([]byte, error) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.field == fieldLiteral {
			dst = append(dst, p.literal...)
			continue
		}
		v, err := p.value(m)
		if err == nil {
			dst, err = encode(dst, v, p.field == fieldAddress)
		}
		if err != nil {
			return dst, Reject(ReasonName, fmt.Errorf("name %s: %w", t.source, err))
		}
	}
	return dst, nil
}

func (p *part) value(m *Message) (string, error) {
	switch p.field {
	case fieldKey:
		return m.Key, nil
	case fieldAddress:
		return m.Address.Name, nil
	case fieldSpace:
		return m.Address.Space, nil
	case fieldToken:
		return Token(m.Address.Name, p.n)
	case fieldHeader:
		if h, ok := m.Header(p.arg); ok {
			return string(h.Value), nil
		}
		return "", fmt.Errorf("the message has no header %q", p.arg)
	default:
		prop, ok := m.Property(PropertyKind(p.n))
		switch {
		case !ok:
			return "", fmt.Errorf("the message has no property %s", p.arg)
		case prop.Kind.Number():
			return strconv.FormatInt(prop.Num, 10), nil
		}
		return prop.Text, nil
	}
}

// Token gives the n-th dot-separated part of name, from 1.
func Token(name string, n int) (string, error) {
	rest := name
	for i := 1; ; i++ {
		tok, after, more := strings.Cut(rest, ".")
		if i == n {
			return tok, nil
		}
		if !more {
			return "", fmt.Errorf("%q has no token %d", Printable(name, 64), n)
		}
		rest = after
	}
}
