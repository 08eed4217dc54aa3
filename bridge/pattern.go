package bridge

import (
	"slices"
	"strings"
)

// A Pattern is a set of names that are read as tokens with dots between them: the
// token "*" stands for any one token, "#" for any number of them, none included,
// every other one for itself. A token of a name that is "*" or "#", or begins with
// '\', has a '\' in front. The empty pattern is the empty name, which has no token.
// Patterns of one meaning are equal where TopicPattern, SubjectPattern or
// ExactPattern made them.
type Pattern string

// AnyName holds every name.
const AnyName Pattern = "#"

// ExactPattern holds one name.
func ExactPattern(name string) Pattern {
	if !strings.ContainsAny(name, `*#\`) {
		return Pattern(name)
	}
	tokens := split(name)
	for i, t := range tokens {
		tokens[i] = literal(t)
	}
	return join(tokens)
}

// TopicPattern reads a binding key of an AMQP topic exchange.
func TopicPattern(key string) Pattern {
	tokens := split(key)
	for i, t := range tokens {
		if t != "*" && t != "#" {
			tokens[i] = literal(t)
		}
	}
	return join(tokens)
}

// SubjectPattern reads a NATS subject that may have wildcards, where a last ">"
// stands for one token or more.
func SubjectPattern(subject string) Pattern {
	tokens := split(subject)
	for i, t := range tokens {
		switch {
		case t == ">" && i == len(tokens)-1:
			return join(append(tokens[:i], "*", "#"))
		case t != "*":
			tokens[i] = literal(t)
		}
	}
	return join(tokens)
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ".")
}

// literal spells a token of a name.
func literal(token string) string {
	if token == "*" || token == "#" || strings.HasPrefix(token, `\`) {
		return `\` + token
	}
	return token
}

// join spells tokens of a pattern. Of wildcards beside each other the order means
// nothing, and one "#" is as good as two.
func join(tokens []string) Pattern {
	var out []string
	open := false // a "#" is owed
	for _, t := range tokens {
		if t == "#" {
			open = true
			continue
		}
		if open && t != "*" {
			out, open = append(out, "#"), false
		}
		out = append(out, t)
	}
	if open {
		out = append(out, "#")
	}
	return Pattern(strings.Join(out, "."))
}

// Subject spells the pattern as a NATS subject with wildcards; false where that
// cannot be said: "#" stands there behind "*" and at the end only.
func (p Pattern) Subject() (string, bool) {
	tokens := p.Tokens()
	n := len(tokens)
	open := n > 1 && tokens[n-1] == "#" && tokens[n-2] == "*"
	if open {
		tokens = tokens[:n-2]
	}
	said := n > 0
	for i, t := range tokens {
		said = said && t != "#" && t != ">" && t != `\*`
		tokens[i] = strings.TrimPrefix(t, `\`)
	}
	if open {
		tokens = append(tokens, ">")
	}
	return strings.Join(tokens, "."), said
}

// Tokens are the tokens as they are spelled in the pattern.
func (p Pattern) Tokens() []string { return split(string(p)) }

// Exact gives the name if the pattern holds one only.
func (p Pattern) Exact() (name string, is bool) {
	tokens := p.Tokens()
	for i, t := range tokens {
		if t == "*" || t == "#" {
			return "", false
		}
		tokens[i] = strings.TrimPrefix(t, `\`)
	}
	return strings.Join(tokens, "."), true
}

// Covers says that every name of q is one of p. It may deny it where wildcards
// stand in front of other tokens in both.
func (p Pattern) Covers(q Pattern) bool { return relate(p.Tokens(), q.Tokens(), true) }

// Overlaps says that some name is one of both.
func (p Pattern) Overlaps(q Pattern) bool { return relate(p.Tokens(), q.Tokens(), false) }

// CoveredBy says that one of several patterns covers p.
func (p Pattern) CoveredBy(all []Pattern) bool {
	return slices.ContainsFunc(all, func(q Pattern) bool { return q.Covers(p) })
}

// relate compares from the last tokens to the first: row[j] is the answer for the
// tokens of p from i on and those of q from j on.
func relate(p, q []string, covers bool) bool {
	below := make([]bool, len(q)+1)
	for i := len(p); i >= 0; i-- {
		row := make([]bool, len(q)+1)
		for j := len(q); j >= 0; j-- {
			switch {
			case i == len(p) && j == len(q):
				row[j] = true
			case i < len(p) && p[i] == "#":
				row[j] = below[j] || j < len(q) && row[j+1]
			case j < len(q) && q[j] == "#":
				row[j] = !covers && (row[j+1] || i < len(p) && below[j])
			case i < len(p) && j < len(q) && (p[i] == "*" || p[i] == q[j] || q[j] == "*" && !covers):
				row[j] = below[j+1]
			}
		}
		below = row
	}
	return below[0]
}

// Pattern gives the names that messages of an address get, as far as the address
// decides it; what a message's key, headers or properties decide is any token.
// space is the exchange, empty where it may be any. It is false where no message
// of that address gets a name, since it has not what the template asks for.
func (t *Template) Pattern(space string, address Pattern, encode Encoder) (Pattern, bool) {
	if name, exact := address.Exact(); exact && t.addressed(space) {
		m := Message{Address: Address{Space: space, Name: name}}
		b, err := t.Append(nil, &m, encode)
		return ExactPattern(string(b)), err == nil
	}
	var tokens []string
	for i := range t.parts {
		p := &t.parts[i]
		switch p.field {
		case fieldLiteral:
			for _, l := range split(strings.Trim(p.literal, ".")) {
				tokens = append(tokens, literal(l))
			}
		case fieldAddress:
			tokens = append(tokens, spelled(address.Tokens(), encode)...)
		case fieldSpace:
			tokens = append(tokens, p.token(space, encode))
		case fieldToken:
			token, ok := tokenOf(address.Tokens(), p.n)
			if !ok {
				return "", false
			}
			if token != "*" {
				token = p.token(strings.TrimPrefix(token, `\`), encode)
			}
			tokens = append(tokens, token)
		default:
			tokens = append(tokens, "*")
		}
	}
	return join(tokens), true
}

// addressed says that the template asks for nothing but the address.
func (t *Template) addressed(space string) bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool {
		return p.field == fieldKey || p.field > fieldToken || p.field == fieldSpace && space == ""
	})
}

// token spells one token, which is any where it is not known.
func (p *part) token(value string, encode Encoder) string {
	b, err := encode(nil, value, false)
	if value == "" || err != nil {
		return "*"
	}
	return literal(string(b))
}

// spelled are the tokens of an address in the target's spelling. Where the empty
// address is spelled by a token, there is no name without one.
func spelled(address []string, encode Encoder) (out []string) {
	empty, err := encode(nil, "", true)
	if never := err == nil && len(empty) > 0; never && !slices.ContainsFunc(address, func(t string) bool { return t != "#" }) {
		return []string{"*", "#"}
	}
	for _, t := range address {
		if t == "*" || t == "#" {
			out = append(out, t)
			continue
		}
		b, err := encode(nil, strings.TrimPrefix(t, `\`), true)
		if err != nil {
			out = append(out, "*")
			continue
		}
		out = append(out, literal(string(b)))
	}
	return out
}

// tokenOf is the n-th token of an address, from 1; any behind a "#".
func tokenOf(address []string, n int) (string, bool) {
	if i := slices.Index(address, "#"); i >= 0 && i < n {
		return "*", true
	}
	if n > len(address) {
		return "", false
	}
	return address[n-1], true
}
