package fields

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Difference is a field in which two bodies differ by more than its rule allows, or
// which a rule leaves out.
type Difference struct {
	// Path is the field's; empty is the body itself.
	Path string `json:"path"`
	// Ignored: a rule leaves it out. Why is the rule's.
	Ignored bool   `json:"ignored,omitempty"`
	Why     string `json:"why,omitempty"`
	// Was and Is are the two values as JSON, cut; empty where there is none.
	Was string `json:"was,omitempty"`
	Is  string `json:"is,omitempty"`
	// Rule says what would have been allowed, in a few words.
	Rule string `json:"rule,omitempty"`
}

// String is one line for a person.
func (d Difference) String() string {
	path, was, is := d.Path, d.Was, d.Is
	if path == "" {
		path = "the body"
	}
	if was == "" {
		was = "nothing"
	}
	if is == "" {
		is = "nothing"
	}
	text := path + ": was " + was + ", is " + is
	if d.Rule != "" {
		text += " (allowed: " + d.Rule + ")"
	}
	return text
}

// Compare gives the fields in which two bodies differ. Bodies of which one is no JSON are
// compared by their octets; nil is null, and not the same as empty.
func (r *Rules) Compare(was, is []byte) []Difference {
	if bytes.Equal(was, is) && (was == nil) == (is == nil) {
		return nil
	}
	a, ok1 := parse(was)
	b, ok2 := parse(is)
	if !ok1 || !ok2 {
		return []Difference{{Was: octets(was), Is: octets(is), Rule: "the same octets"}}
	}
	c := comparison{rules: r}
	c.values(nil, a, b)
	return c.found
}

// Same says that nothing differs that is not left out by a rule.
func Same(ds []Difference) bool {
	return !slices.ContainsFunc(ds, func(d Difference) bool { return !d.Ignored })
}

func parse(body []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return v, true
}

// absent is no value, which null is not.
type absent struct{}

// A comparison walks two values side by side.
type comparison struct {
	rules *Rules
	found []Difference
}

func (c *comparison) values(path []string, a, b any) {
	rule := c.rules.of(path)
	if rule != nil && !rule.Exact {
		c.judge(path, rule, a, b)
		return
	}
	if x, ok := a.(map[string]any); ok {
		if y, ok := b.(map[string]any); ok {
			c.objects(path, x, y)
			return
		}
	}
	if x, ok := a.([]any); ok {
		if y, ok := b.([]any); ok {
			c.lists(path, x, y)
			return
		}
	}
	if !equal(a, b) {
		c.differs(path, "the same", a, b)
	}
}

func (c *comparison) objects(path []string, a, b map[string]any) {
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		c.values(append(path[:len(path):len(path)], name), member(a, name), member(b, name))
	}
}

func member(m map[string]any, name string) any {
	if v, ok := m[name]; ok {
		return v
	}
	return absent{}
}

func (c *comparison) lists(path []string, a, b []any) {
	for i := range max(len(a), len(b)) {
		c.values(append(path[:len(path):len(path)], strconv.Itoa(i)), item(a, i), item(b, i))
	}
}

func item(l []any, i int) any {
	if i < len(l) {
		return l[i]
	}
	return absent{}
}

// judge compares two values by a rule.
func (c *comparison) judge(path []string, rule *Rule, a, b any) {
	if rule.Ignore {
		if !equal(a, b) {
			c.found = append(c.found, Difference{Path: strings.Join(path, "."), Ignored: true, Why: rule.Why, Was: text(a), Is: text(b), Rule: "ignored"})
		}
		return
	}
	if ok, allowed := rule.allows(a, b); !ok {
		c.differs(path, allowed, a, b)
	}
}

func (c *comparison) differs(path []string, allowed string, a, b any) {
	c.found = append(c.found, Difference{Path: strings.Join(path, "."), Was: text(a), Is: text(b), Rule: allowed})
}
