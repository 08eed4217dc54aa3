package config

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

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
	s, err := references{l.dir, l.environment}.expand(n.Value)
	if err != nil {
		for _, e := range unjoin(err) {
			l.fail(n, path, "%s", e)
		}
		return "", false
	}
	l.noteURL(s)
	return s, true
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
