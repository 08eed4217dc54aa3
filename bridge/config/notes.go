package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

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
