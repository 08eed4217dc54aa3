package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Block is the part of a mapping that belongs to an adapter.
type Block struct {
	// mapping holds the pairs that nobody else took; origin is where they stood.
	mapping, origin *yaml.Node
	path            string
	loader          *loader
	// named are the keys that were taken, for suggestions.
	named []string
	used  bool
}

// Decode is a bridge.Decode. It reports all mistakes of the block at once.
func (b *Block) Decode(into any) error {
	b.used = true
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("%s: decode into %T: want a pointer to a struct", b.path, into)
	}
	l := b.loader.fork()
	l.structure(b.mapping, v.Elem(), b.path, b.origin, b.named)
	if len(l.errs) > 0 {
		return l.errs.sorted()
	}
	return nil
}

// True says that the block holds "name: true". It is how an operator's word for
// what a system's traits demand is found without knowing the system.
func (b *Block) True(name string) bool {
	if b.mapping == nil {
		return false
	}
	pairs, _ := b.loader.fork().pairs(b.mapping, b.path)
	for _, p := range pairs {
		if p.key.Value == name {
			var is bool
			b.loader.fork().value(p.value, reflect.ValueOf(&is).Elem(), b.path)
			return is
		}
	}
	return false
}

var (
	typeDuration  = reflect.TypeFor[time.Duration]()
	typeSecret    = reflect.TypeFor[bridge.Secret]()
	typeBlock     = reflect.TypeFor[Block]()
	typeUnmarshal = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value decodes n into v. A null, as of a key with nothing behind it, leaves v
// as it is.
func (l *loader) value(n *yaml.Node, v reflect.Value, path string) {
	if n = l.resolve(n, path); n == nil || n.ShortTag() == "!!null" {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		l.value(n, v.Elem(), path)
	case reflect.PointerTo(v.Type()).Implements(typeUnmarshal):
		l.unmarshal(n, v, path)
	case v.Type() == typeDuration:
		l.duration(n, v, path)
	case v.Kind() == reflect.Struct:
		l.structure(n, v, path, n, nil)
	case v.Kind() == reflect.Slice:
		l.list(n, v, path)
	case v.Kind() == reflect.Map:
		l.table(n, v, path)
	case v.Kind() == reflect.Interface && v.NumMethod() == 0:
		if x := l.any(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		l.scalar(n, v, path)
	}
}

// structure decodes a mapping; pairs that the struct does not know go to its
// Block, and are mistakes if it has none. Defaults are noted under origin.
func (l *loader) structure(n *yaml.Node, v reflect.Value, path string, origin *yaml.Node, taken []string) {
	pairs, ok := l.pairs(n, path)
	if !ok {
		return
	}
	if d, ok := v.Addr().Interface().(interface{ setDefaults() }); ok {
		d.setDefaults()
	}
	fields, rest := fieldsOf(v)
	names := append([]string(nil), taken...)
	for name := range fields {
		names = append(names, name)
	}
	var others []*yaml.Node
	present := map[string]bool{}
	for _, p := range pairs {
		field, ok := fields[p.key.Value]
		switch {
		case ok:
			present[p.key.Value] = true
			l.places[join(path, p.key.Value)] = p.value
			l.value(p.value, field, join(path, p.key.Value))
		case rest.IsValid():
			others = append(others, p.key, p.value)
		default:
			l.fail(p.key, path, "unknown key %q%s", p.key.Value, didYouMean(p.key.Value, names))
		}
	}
	if rest.IsValid() {
		m := *n
		m.Content = others
		rest.Set(reflect.ValueOf(Block{mapping: &m, origin: n, path: path, loader: l, named: names}))
	}
	for name, field := range fields {
		if !present[name] {
			l.noteDefault(origin, name, field)
		}
	}
}

// fieldsOf gives the fields of a struct by their names in the file, those of
// inlined structs included, and its Block, if it has one.
func fieldsOf(v reflect.Value) (fields map[string]reflect.Value, rest reflect.Value) {
	fields = map[string]reflect.Value{}
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := options == "inline" || f.Anonymous && name == ""
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
		case f.Type == typeBlock:
			rest = v.Field(i)
		case inline && f.Type.Kind() == reflect.Struct:
			more, r := fieldsOf(v.Field(i))
			for n, x := range more {
				fields[n] = x
			}
			if r.IsValid() {
				rest = r
			}
		case !f.IsExported():
		case name == "":
			fields[strings.ToLower(f.Name)] = v.Field(i)
		default:
			fields[name] = v.Field(i)
		}
	}
	return fields, rest
}

func (l *loader) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		l.fail(n, path, "want a list, each item behind a \"- \", found %s", l.describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		x := reflect.New(v.Type().Elem()).Elem()
		l.places[at] = item
		l.value(item, x, at)
		if x.Kind() == reflect.Pointer && x.IsNil() {
			l.fail(item, at, "the item is empty")
			continue
		}
		out = reflect.Append(out, x)
	}
	v.Set(out)
}

func (l *loader) table(n *yaml.Node, v reflect.Value, path string) {
	pairs, ok := l.pairs(n, path)
	if !ok {
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		l.fail(n, path, "cannot be configured: %s has no text keys", v.Type())
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(pairs))
	for _, p := range pairs {
		x := reflect.New(v.Type().Elem()).Elem()
		l.value(p.value, x, join(path, p.key.Value))
		out.SetMapIndex(reflect.ValueOf(p.key.Value).Convert(v.Type().Key()), x)
	}
	v.Set(out)
}

// any gives text, whole numbers as int64, float64, bool, nil, []any or
// map[string]any.
func (l *loader) any(n *yaml.Node, path string) any {
	if n = l.resolve(n, path); n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			out = append(out, l.any(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return out
	case yaml.MappingNode:
		pairs, _ := l.pairs(n, path)
		out := make(map[string]any, len(pairs))
		for _, p := range pairs {
			out[p.key.Value] = l.any(p.value, join(path, p.key.Value))
		}
		return out
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
	case "!!int":
		if i, ok := l.integer(n, n.Value, 64, path); ok {
			return i
		}
		return nil
	case "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil {
			l.fail(n, path, "%q is not a number that can be carried", n.Value)
			return nil
		}
		return f
	}
	s, _ := l.text(n, path)
	return s
}

func (l *loader) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		l.fail(n, path, "want %s, found %s", wanted(v), l.describe(n))
		return
	}
	if v.Kind() == reflect.String {
		l.str(n, v, path)
		return
	}
	text, ok := l.text(n, path)
	if !ok {
		return
	}
	quoted := n.ShortTag() == "!!str" && !hasReference(n.Value)
	switch v.Kind() {
	case reflect.Bool:
		if quoted || text != "true" && text != "false" {
			l.fail(n, path, "want true or false, found %s", l.describe(n))
			return
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if quoted || n.ShortTag() == "!!float" {
			l.fail(n, path, "want a whole number, found %s", l.describe(n))
			return
		}
		l.setInteger(n, v, text, path)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if quoted || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			l.fail(n, path, "want a number, found %s", l.describe(n))
			return
		}
		v.SetFloat(f)
	default:
		l.fail(n, path, "cannot be configured: %s", v.Type())
	}
}

func (l *loader) setInteger(n *yaml.Node, v reflect.Value, text, path string) {
	i, ok := l.integer(n, text, v.Type().Bits(), path)
	switch {
	case !ok:
	case v.CanInt():
		v.SetInt(i)
	case i < 0 || v.Type().Bits() < 64 && i >= 1<<v.Type().Bits():
		l.fail(n, path, "want a whole number from 0, found %d", i)
	default:
		v.SetUint(uint64(i))
	}
}

// integer reads a whole number. Leading zeros are refused: to some readers of
// YAML they mean octal, to others not.
func (l *loader) integer(n *yaml.Node, text string, bits int, path string) (int64, bool) {
	plain := strings.ReplaceAll(text, "_", "")
	digits := strings.TrimLeft(plain, "+-")
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		l.fail(n, path, "a whole number does not begin with 0")
		return 0, false
	}
	i, err := strconv.ParseInt(plain, 0, bits)
	if err != nil {
		l.fail(n, path, "want a whole number of at most %d bits, found %s", bits, l.describe(n))
		return 0, false
	}
	return i, true
}

// str decodes text. Numbers and the like have to be quoted, because what is
// written without quotes may not be what is read: 010, 1e3, 2020-01-01, no.
func (l *loader) str(n *yaml.Node, v reflect.Value, path string) {
	secret := v.Type() == typeSecret
	if n.ShortTag() != "!!str" {
		found := "a " + kindOf(n)
		if !secret {
			found = l.describe(n)
		}
		l.fail(n, path, "want text, found %s; put it in quotes", found)
		return
	}
	s, ok := l.text(n, path)
	if !ok {
		return
	}
	if secret {
		l.noteSecret(n, s)
	}
	v.SetString(s)
}

func (l *loader) duration(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		l.fail(n, path, "want a duration with a unit, such as 5s, found %s", l.describe(n))
		return
	}
	text, ok := l.text(n, path)
	if !ok {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		example := "5s"
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && i > 0 {
			example = text + "s"
		}
		l.fail(n, path, "want a duration with a unit, such as %s, found %s; the units are h, m, s, ms, us", example, l.describe(n))
		return
	}
	if d < 0 {
		l.fail(n, path, "a duration is not negative")
		return
	}
	v.SetInt(int64(d))
}

func (l *loader) unmarshal(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		l.fail(n, path, "want one value, found %s", l.describe(n))
		return
	}
	text, ok := l.text(n, path)
	if !ok {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		l.fail(n, path, "%s, found %s", err, l.describe(n))
	}
}

// text gives a scalar's text with its references resolved.
func (l *loader) text(n *yaml.Node, path string) (string, bool) {
	if !hasReference(n.Value) {
		l.noteURL(n.Value)
		return n.Value, true
	}
	s, err := expand(n.Value, l.dir)
	if err != nil {
		for _, e := range unjoin(err) {
			l.fail(n, path, "%s", e)
		}
		return "", false
	}
	l.noteURL(s)
	return s, true
}

func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func wanted(v reflect.Value) string {
	switch v.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
}
