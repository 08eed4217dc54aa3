package config

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// String is the configuration in effect, as YAML: what the file says, with the
// defaults that it leaves out and the layered settings as they were decided.
// Secrets are hidden and references are as they are written.
func (c *Config) String() string {
	root := c.loader.places[""]
	out := c.loader.render(root, "")
	for _, s := range slices.Backward(layers) {
		c.loader.place(out, s.key, *s.field(c))
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(out)
	if err == nil {
		err = e.Close()
	}
	if err != nil {
		return fmt.Sprintf("# cannot be printed: %v\n", err)
	}
	return b.String()
}

// render copies a node without comments, anchors and secrets.
func (l *loader) render(n *yaml.Node, key string) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch n.Kind {
	case yaml.MappingNode:
		out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		f := l.fork()
		pairs, _ := f.pairs(n, "")
		for _, p := range pairs {
			out.Content = append(out.Content, word(p.key.Value), l.render(p.value, p.key.Value))
		}
		defaults := slices.SortedFunc(slices.Values(l.defaults[n]), func(a, b setting) int { return cmp.Compare(a.name, b.name) })
		for _, s := range defaults {
			out.Content = append(out.Content, word(s.name), s.node())
		}
		return out
	case yaml.SequenceNode:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range n.Content {
			out.Content = append(out.Content, l.render(item, key))
		}
		return out
	}
	text := n.ShortTag() == "!!str"
	switch {
	case text && (l.secret[n] || secretKey(key)) && !onlyReferences(n.Value):
		return word(hidden)
	case text:
		return word(redactWritten(n.Value))
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: n.Tag, Value: n.Value}
}

// onlyReferences says that a text is references and nothing else.
func onlyReferences(s string) bool {
	if s == "" || strings.Contains(s, "$${") {
		return false
	}
	for s != "" {
		body, ok := strings.CutPrefix(s, "${")
		if !ok {
			return false
		}
		if _, s, ok = strings.Cut(body, "}"); !ok {
			return false
		}
	}
	return true
}

// place sets "section.name" of the root.
func (l *loader) place(root *yaml.Node, key, value string) {
	section, name, _ := strings.Cut(key, ".")
	m := lookupNode(root, section)
	if m == nil || m.Kind != yaml.MappingNode {
		if m == nil {
			m = &yaml.Node{}
			root.Content = append(root.Content, word(section), m)
		}
		*m = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	if v := lookupNode(m, name); v != nil {
		*v = *word(value)
		return
	}
	m.Content = append(m.Content, word(name), word(value))
}

func lookupNode(m *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == name {
			return m.Content[i+1]
		}
	}
	return nil
}

// word is text, quoted by the encoder where it has to be.
func word(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

func (s setting) node() *yaml.Node {
	n := word(s.value)
	if !s.text {
		n.Tag = ""
	}
	return n
}
