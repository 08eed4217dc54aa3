package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A loader goes over the nodes of one file.
type loader struct {
	file, dir string
	errs      Errors
	// nodes bounds how often nodes may be visited, so that a file of aliases to
	// aliases is refused and not expanded.
	nodes *int
	// places are the values of mappings and lists, by path.
	places map[string]*yaml.Node
	*notes
}

// notes are what printing has to know.
type notes struct {
	// secret nodes are printed hidden; values are what must not turn up in errors.
	secret map[*yaml.Node]bool
	values []string
	// defaults are the settings that a mapping does not hold, by mapping.
	defaults map[*yaml.Node][]setting
	// layered says which variable or flag decided a setting, by its key.
	layered map[string]string
}

// A setting is one line of a print-out.
type setting struct {
	name, value string
	text        bool
}

// mostNodes is far above what any configuration needs.
const mostNodes = 200_000

func newLoader(file, dir string) *loader {
	nodes := mostNodes
	return &loader{file: file, dir: dir, nodes: &nodes, places: map[string]*yaml.Node{}, notes: &notes{
		secret: map[*yaml.Node]bool{}, defaults: map[*yaml.Node][]setting{}, layered: map[string]string{},
	}}
}

// fork gives a loader of the same file that collects its own mistakes.
func (l *loader) fork() *loader {
	f := *l
	f.errs = nil
	return &f
}

func (l *loader) fail(n *yaml.Node, path, format string, args ...any) {
	e := &Error{File: l.file, Path: path, Text: RedactURLs(fmt.Sprintf(format, args...))}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	l.errs = append(l.errs, e)
}

// failAt is fail at the nearest node of path that the file has.
func (l *loader) failAt(path, format string, args ...any) {
	at := path
	for {
		if n := l.places[at]; n != nil || at == "" {
			l.fail(n, path, format, args...)
			return
		}
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
	}
}

// resolve follows aliases and keeps the budget.
func (l *loader) resolve(n *yaml.Node, path string) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		if !l.spend(n, path) {
			return nil
		}
		n = n.Alias
	}
	if n == nil || !l.spend(n, path) {
		return nil
	}
	return n
}

func (l *loader) spend(n *yaml.Node, path string) bool {
	*l.nodes--
	if *l.nodes == 0 {
		l.fail(n, path, "the file is larger than any configuration, with its aliases written out")
	}
	return *l.nodes > 0
}

// A pair is one line of a mapping.
type pair struct{ key, value *yaml.Node }

// pairs gives the pairs of a mapping, those of merged mappings ("<<") included
// where the mapping does not say otherwise.
func (l *loader) pairs(n *yaml.Node, path string) ([]pair, bool) {
	if n.Kind != yaml.MappingNode {
		l.fail(n, path, "want names with values (\"name: value\"), found %s", l.describe(n))
		return nil, false
	}
	seen := map[string]*yaml.Node{}
	var out, merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merged = append(merged, l.merge(value, path, 0)...)
			continue
		}
		if key = l.resolve(key, path); key == nil {
			return out, true
		}
		if key.Kind != yaml.ScalarNode {
			l.fail(key, path, "a name is one word, found %s", l.describe(key))
			continue
		}
		if first := seen[key.Value]; first != nil {
			l.fail(key, path, "key %q is there twice, first on line %d", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		out = append(out, pair{key, value})
	}
	for _, p := range merged {
		if seen[p.key.Value] == nil {
			seen[p.key.Value] = p.key
			out = append(out, p)
		}
	}
	return out, true
}

// deepestMerge is how many merges may stand within each other.
const deepestMerge = 8

func (l *loader) merge(n *yaml.Node, path string, depth int) (out []pair) {
	if n = l.resolve(n, path); n == nil {
		return nil
	}
	if depth > deepestMerge {
		l.fail(n, path, "merges stand too deep within each other")
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			out = append(out, l.merge(item, path, depth+1)...)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.ShortTag() == "!!merge" {
				out = append(out, l.merge(value, path, depth+1)...)
			} else if key.Kind == yaml.ScalarNode {
				out = append(out, pair{key, value})
			}
		}
	default:
		l.fail(n, path, "\"<<\" merges names with values, found %s", l.describe(n))
	}
	return out
}

// describe says what a node is, for messages; secrets stay hidden.
func (l *loader) describe(n *yaml.Node) string {
	switch text := n.ShortTag() == "!!str"; {
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null":
		return "a " + kindOf(n)
	case !text:
		return bridge.Printable(n.Value, 64)
	}
	return fmt.Sprintf("\"%s\"", bridge.Printable(redactValue(n.Value), 64))
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "null"
	case "!!timestamp":
		return "date"
	}
	return "text"
}

// noteSecret remembers a secret's place and value.
func (n *notes) noteSecret(at *yaml.Node, value string) {
	n.secret[at] = true
	n.noteValue(value)
}

// noteURL remembers the password in a URL.
func (n *notes) noteURL(s string) {
	_, rest, ok := strings.Cut(s, "://")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at < 0 {
		return
	}
	user, password, has := strings.Cut(rest[:at], ":")
	if !has {
		password = user
	}
	n.noteValue(password)
}

// shortestScrubbed is below the length of a password worth its name; shorter
// ones would blank out words.
const shortestScrubbed = 4

func (n *notes) noteValue(v string) {
	if len(v) >= shortestScrubbed {
		n.values = append(n.values, v)
	}
}

// scrub takes every known secret out of a text.
func (n *notes) scrub(s string) string {
	for _, v := range n.values {
		s = strings.ReplaceAll(s, v, hidden)
	}
	return RedactURLs(s)
}

// noteDefault remembers a setting that the file leaves out.
func (n *notes) noteDefault(at *yaml.Node, name string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	var text string
	quoted := v.Kind() == reflect.String
	switch {
	case v.Type() == typeSecret || secretKey(name):
		text = hidden
	case v.Type() == typeDuration:
		text = time.Duration(v.Int()).String()
	case quoted:
		text = redactValue(v.String())
	case v.Kind() == reflect.Bool || v.CanInt() || v.CanUint() || v.CanFloat():
		text = fmt.Sprint(v.Interface())
	default:
		return
	}
	for _, s := range n.defaults[at] {
		if s.name == name {
			return
		}
	}
	n.defaults[at] = append(n.defaults[at], setting{name, text, quoted})
}
