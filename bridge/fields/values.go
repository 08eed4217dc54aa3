package fields

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// allows says whether two values may differ as they do, and what is allowed.
func (r *Rule) allows(a, b any) (ok bool, allowed string) {
	switch {
	case r.Present:
		return (kind(a) == kindAbsent) == (kind(b) == kindAbsent), "present on both sides"
	case equal(a, b):
		return true, ""
	case r.Set:
		x, ok1 := a.([]any)
		y, ok2 := b.([]any)
		return ok1 && ok2 && sameSet(x, y), "the same in any order"
	case r.Time > 0:
		x, ok1 := point(a)
		y, ok2 := point(b)
		return ok1 && ok2 && x.Sub(y).Abs() <= r.Time, fmt.Sprintf("within %v", r.Time)
	}
	x, ok1 := number(a)
	y, ok2 := number(b)
	if r.ULP > 0 {
		return ok1 && ok2 && between(x, y) <= r.ULP, fmt.Sprintf("within %d floating-point numbers", r.ULP)
	}
	most := r.Abs + r.Rel*max(math.Abs(x), math.Abs(y))
	return ok1 && ok2 && math.Abs(x-y) <= most, fmt.Sprintf("within %g + %g times the larger", r.Abs, r.Rel)
}

type valueKind uint8

const (
	kindAbsent valueKind = iota
	kindNull
	kindBool
	kindNumber
	kindText
	kindList
	kindObject
)

func kind(v any) valueKind {
	switch v.(type) {
	case nil:
		return kindNull
	case bool:
		return kindBool
	case json.Number:
		return kindNumber
	case string:
		return kindText
	case []any:
		return kindList
	case map[string]any:
		return kindObject
	}
	return kindAbsent
}

// equal says that two values are the same: numbers by value, objects whatever the order
// of their names.
func equal(a, b any) bool {
	if kind(a) != kind(b) {
		return false
	}
	switch x := a.(type) {
	case json.Number:
		return sameNumber(string(x), string(b.(json.Number)))
	case []any:
		return slices.EqualFunc(x, b.([]any), equal)
	case map[string]any:
		y := b.(map[string]any)
		if len(x) != len(y) {
			return false
		}
		for name, v := range x {
			w, ok := y[name]
			if !ok || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

// mostExponent bounds the numbers that are written out to be compared.
const mostExponent = 400

// sameNumber compares numbers by their value, to the last digit.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !plain(a) || !plain(b) {
		return false
	}
	x, ok1 := new(big.Rat).SetString(a)
	y, ok2 := new(big.Rat).SetString(b)
	return ok1 && ok2 && x.Cmp(y) == 0
}

func plain(s string) bool {
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return len(s) <= 2*mostExponent
	}
	e, err := strconv.Atoi(strings.TrimPrefix(s[i+1:], "+"))
	return err == nil && -mostExponent <= e && e <= mostExponent && i <= 2*mostExponent
}

func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}

// between is how many steps from one floating-point number to the next lead from a to b.
func between(a, b float64) uint64 {
	x, y := ordered(a), ordered(b)
	if x > y {
		x, y = y, x
	}
	return uint64(y) - uint64(x)
}

// ordered numbers floating-point numbers in their order.
func ordered(f float64) int64 {
	b := int64(math.Float64bits(f))
	if b < 0 {
		return math.MinInt64 - b
	}
	return b
}

// point reads a point in time.
func point(v any) (time.Time, bool) {
	if s, ok := v.(string); ok {
		t, err := time.Parse(time.RFC3339Nano, s)
		return t, err == nil
	}
	f, ok := number(v)
	if !ok || math.Abs(f) > 9e18 {
		return time.Time{}, false
	}
	unit := time.Second
	for _, u := range []struct {
		from float64
		unit time.Duration
	}{{1e11, time.Millisecond}, {1e14, time.Microsecond}, {1e17, time.Nanosecond}} {
		if math.Abs(f) >= u.from {
			unit = u.unit
		}
	}
	whole, frac := math.Modf(f)
	per := int64(time.Second / unit)
	n := int64(whole)
	return time.Unix(n/per, n%per*int64(unit)+int64(frac*float64(unit))), true
}

func sameSet(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	left := slices.Clone(b)
	for _, v := range a {
		i := slices.IndexFunc(left, func(w any) bool { return equal(v, w) })
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

// shown is how many octets of a value a person is shown.
const shown = 120

func text(v any) string {
	if kind(v) == kindAbsent {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return cut(string(b))
}

// octets is a body that is no JSON, in printable form.
func octets(b []byte) string {
	if b == nil {
		return "null"
	}
	return cut(strconv.QuoteToASCII(string(b)))
}

func cut(s string) string {
	if len(s) <= shown {
		return s
	}
	n := shown
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
