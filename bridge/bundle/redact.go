package bundle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/zeebo/xxh3"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Redaction says what a bundle does not hold. In its place stands a hash that is the same
// for equal values of one bundle, and of no use beyond it: differences stay differences.
type Redaction struct {
	Keys, Bodies bool
	Headers      []string // by name, in any case
	Fields       []string // of JSON bodies, by their paths
}

// Redact takes out what r names. It is called before anything is written.
func (b *Bundle) Redact(r Redaction) error {
	salt := rand.Uint64()
	token := func(v []byte) []byte { return fmt.Appendf(nil, "redacted-%016x", xxh3.HashSeed(v, salt)) }
	for _, f := range b.frames() {
		if err := r.frame(f, token); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	for _, part := range []struct {
		is   bool
		name string
	}{{r.Keys, "keys"}, {r.Bodies, "bodies"}} {
		if part.is {
			b.Redacted = append(b.Redacted, part.name)
		}
	}
	for _, name := range r.Headers {
		b.Redacted = append(b.Redacted, "header "+name)
	}
	for _, path := range r.Fields {
		b.Redacted = append(b.Redacted, "field "+path)
	}
	if b.Outputs != nil && (r.Bodies || len(r.Fields) > 0) {
		if err := b.differAnew(); err != nil {
			return err
		}
	}
	b.describe()
	return nil
}

func (r *Redaction) frame(f *Frame, token func([]byte) []byte) error {
	m := &f.Message
	if r.Keys {
		id, key, err := bridge.ParseID(m.ID)
		if err != nil && m.ID != "" {
			return err
		}
		key = string(token([]byte(key)))
		m.Key, m.ID = token(m.Key), id.Text(key)
		// The address often is, or holds, the key.
		m.Name = token(m.Name)
	}
	for i := range m.Headers {
		if slices.ContainsFunc(r.Headers, func(name string) bool { return strings.EqualFold(name, string(m.Headers[i].Name)) }) {
			m.Headers = slices.Clone(m.Headers)
			m.Headers[i].Value = token(m.Headers[i].Value)
		}
	}
	switch {
	case r.Bodies && len(m.Body) > 0:
		m.Body = token(m.Body)
	case len(m.Body) > 0:
		for _, path := range r.Fields {
			m.Body = redactField(m.Body, path, token)
		}
	}
	return nil
}

// redactField replaces one value of a JSON body. Where it cannot be told that nothing of
// the value is left, nothing of the body is.
func redactField(body []byte, path string, token func([]byte) []byte) []byte {
	if !gjson.ValidBytes(body) {
		return token(body)
	}
	v := gjson.GetBytes(body, path)
	if !v.Exists() {
		return body
	}
	if v.Index == 0 || v.Index+len(v.Raw) > len(body) { // several values
		return token(body)
	}
	out := append([]byte{}, body[:v.Index]...)
	out = append(append(append(out, '"'), token([]byte(v.Raw))...), '"')
	out = append(out, body[v.Index+len(v.Raw):]...)
	if repeats(out) {
		return token(body)
	}
	return out
}

// repeats says that an object in a JSON text has a name twice: of such, readers take
// different values.
func repeats(text []byte) bool {
	var in func(v gjson.Result) bool
	in = func(v gjson.Result) (twice bool) {
		names := map[string]bool{}
		v.ForEach(func(name, value gjson.Result) bool {
			if v.IsObject() {
				twice = twice || names[name.Str]
				names[name.Str] = true
			}
			if value.IsObject() || value.IsArray() {
				twice = twice || in(value)
			}
			return !twice
		})
		return twice
	}
	return in(gjson.ParseBytes(text))
}
