package config

import (
	"fmt"
	"os"
	"strings"

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
	// Of comparisons, as Options has them.
	suffix, from string
	environment  func(name string) (string, bool)
	*notes
}

// mostNodes is far above what any configuration needs.
const mostNodes = 200_000

func newLoader(file, dir string) *loader {
	nodes := mostNodes
	return &loader{file: file, dir: dir, nodes: &nodes, environment: os.LookupEnv, places: map[string]*yaml.Node{}, notes: &notes{
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
