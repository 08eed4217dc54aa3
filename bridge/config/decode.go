package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/bridge"
)

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
