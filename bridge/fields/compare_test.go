package fields

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func rules(t testing.TB, rs ...Rule) *Rules {
	t.Helper()
	r, err := NewRules(rs)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesAllowWhatTheySay(t *testing.T) {
	for _, tc := range []struct {
		name    string
		rule    Rule
		was, is string
		same    bool
	}{
		{"exact numbers by value", Rule{Path: "x", Exact: true}, `{"x":1.0}`, `{"x":1}`, true},
		{"exact numbers by value, exponent", Rule{Path: "x", Exact: true}, `{"x":1e2}`, `{"x":100}`, true},
		{"exact to the last digit", Rule{Path: "x", Exact: true}, `{"x":12345678901234567890.1}`, `{"x":12345678901234567890.2}`, false},
		{"hostile exponents", Rule{Path: "x", Exact: true}, `{"x":1e999999999}`, `{"x":2e999999999}`, false},
		{"abs", Rule{Path: "x", Abs: 0.5}, `{"x":1}`, `{"x":1.5}`, true},
		{"abs, more", Rule{Path: "x", Abs: 0.5}, `{"x":1}`, `{"x":1.6}`, false},
		{"rel", Rule{Path: "x", Rel: 0.01}, `{"x":100}`, `{"x":101}`, true},
		{"rel, more", Rule{Path: "x", Rel: 0.01}, `{"x":100}`, `{"x":102}`, false},
		{"rel at zero", Rule{Path: "x", Rel: 0.01}, `{"x":0}`, `{"x":1e-9}`, false},
		{"abs and rel at zero", Rule{Path: "x", Rel: 0.01, Abs: 1e-6}, `{"x":0}`, `{"x":1e-9}`, true},
		{"ulp", Rule{Path: "x", ULP: 1}, `{"x":0.1}`, `{"x":0.10000000000000002}`, true},
		{"ulp, more", Rule{Path: "x", ULP: 1}, `{"x":0.1}`, `{"x":0.10000000000000005}`, false},
		{"ulp over zero", Rule{Path: "x", ULP: 2}, `{"x":5e-324}`, `{"x":-5e-324}`, true},
		{"number and text", Rule{Path: "x", Abs: 10}, `{"x":1}`, `{"x":"1"}`, false},
		{"time as text", Rule{Path: "x", Time: time.Second}, `{"x":"2026-01-01T00:00:00Z"}`, `{"x":"2026-01-01T01:00:00.9+01:00"}`, true},
		{"time as text, more", Rule{Path: "x", Time: time.Second}, `{"x":"2026-01-01T00:00:00Z"}`, `{"x":"2026-01-01T00:00:01.1Z"}`, false},
		{"time in milliseconds", Rule{Path: "x", Time: time.Second}, `{"x":1767225600000}`, `{"x":1767225600.5}`, true},
		{"time in nanoseconds", Rule{Path: "x", Time: time.Microsecond}, `{"x":1767225600000000000}`, `{"x":1767225600000002000}`, false},
		{"set", Rule{Path: "x", Set: true}, `{"x":[1,2,2]}`, `{"x":[2,1.0,2]}`, true},
		{"set, repeats count", Rule{Path: "x", Set: true}, `{"x":[1,2,2]}`, `{"x":[1,1,2]}`, false},
		{"set of no list", Rule{Path: "x", Set: true}, `{"x":[1]}`, `{"x":1}`, false},
		{"present", Rule{Path: "x", Present: true}, `{"x":1}`, `{"x":null}`, true},
		{"present, absent", Rule{Path: "x", Present: true}, `{"x":1}`, `{}`, false},
		{"ignore", Rule{Path: "x", Ignore: true}, `{"x":1}`, `{}`, true},
		{"any item", Rule{Path: "l.*.x", Abs: 1}, `{"l":[{"x":1},{"x":5}]}`, `{"l":[{"x":2},{"x":4}]}`, true},
		{"any item, another field", Rule{Path: "l.*.x", Abs: 1}, `{"l":[{"y":1}]}`, `{"l":[{"y":2}]}`, false},
		{"any depth", Rule{Path: "**.x", Abs: 1}, `{"a":{"b":[{"x":1}]},"x":1}`, `{"a":{"b":[{"x":2}]},"x":2}`, true},
		{"all of it", Rule{Path: "meta.**", Ignore: true}, `{"meta":{"a":1}}`, `{}`, true},
		{"longer list", Rule{Path: "y", Exact: true}, `{"l":[1]}`, `{"l":[1,2]}`, false},
		{"null is not absent", Rule{Path: "y", Exact: true}, `{"x":null}`, `{}`, false},
		{"white space and the order of names", Rule{Path: "y", Exact: true}, `{"a":1, "b":2}`, `{"b":2,"a":1}`, true},
		{"no JSON", Rule{Path: "**", Ignore: true}, `{"a":1}x`, `{"a":1}y`, false},
		{"more than one value", Rule{Path: "y", Exact: true}, `1 2`, `1  2`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rules(t, tc.rule)
			for _, pair := range [][2]string{{tc.was, tc.is}, {tc.is, tc.was}} {
				if ds := r.Compare([]byte(pair[0]), []byte(pair[1])); Same(ds) != tc.same {
					t.Errorf("%s and %s: %+v", pair[0], pair[1], ds)
				}
			}
		})
	}
}

func TestDifferencesNameTheField(t *testing.T) {
	r := rules(t, Rule{Path: "at", Ignore: true, Why: "the consumer's clock"}, Rule{Path: "values.*", Abs: 0.1})
	ds := r.Compare([]byte(`{"at":1,"values":[1,2,3],"host":"a"}`), []byte(`{"at":2,"values":[1,2.2,3],"host":"b"}`))
	var got []string
	for _, d := range ds {
		s := d.Path + " " + d.Was + " " + d.Is + " " + d.Rule
		if d.Ignored {
			s += " " + d.Why
		}
		got = append(got, s)
	}
	want := "at 1 2 ignored the consumer's clock|host \"a\" \"b\" the same|values.1 2 2.2 within 0.1 + 0 times the larger"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
	if ds := r.Compare(nil, []byte{}); Same(ds) {
		t.Error("null is taken for empty")
	}
	if ds := r.Compare([]byte("\x00\xff"), []byte("\x00\xfe")); Same(ds) || strings.Contains(ds[0].Was, "\x00") {
		t.Errorf("%+v", ds)
	}
}

func TestRulesThatSayNothingAreRefused(t *testing.T) {
	for _, tc := range []struct {
		rule Rule
		want string
	}{
		{Rule{Abs: 1}, "path is missing"}, {Rule{Path: "a..b", Abs: 1}, "is empty"}, {Rule{Path: "a"}, "give one of"},
		{Rule{Path: "a", Abs: 1, Ignore: true}, "give one of"}, {Rule{Path: "a", Abs: -1}, "not negative"}, {Rule{Path: "a", Rel: 1}, "0.01"},
	} {
		if _, err := NewRules([]Rule{tc.rule}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v, want %q", tc.rule, err, tc.want)
		}
	}
}

func drawValue(t *rapid.T, depth int) any {
	most := 6
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "number")
	case 3:
		return rapid.Float64Range(-1e300, 1e300).Draw(t, "float")
	case 4:
		return rapid.String().Draw(t, "text")
	case 5:
		l := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			l = append(l, drawValue(t, depth-1))
		}
		return l
	}
	m := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		m[rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")] = drawValue(t, depth-1)
	}
	return m
}

// A body is the same as itself, written in any way; and where two differ, a rule that
// ignores everything leaves nothing.
func TestAnyBodyIsTheSameAsItself(t *testing.T) {
	none, all := rules(t), rules(t, Rule{Path: "**", Ignore: true})
	rapid.Check(t, func(t *rapid.T) {
		v, w := drawValue(t, 3), drawValue(t, 3)
		a, err1 := json.Marshal(v)
		b, err2 := json.Marshal(w)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		var spread bytes.Buffer
		if err := json.Indent(&spread, a, " ", "\t"); err != nil {
			t.Fatal(err)
		}
		if ds := none.Compare(a, spread.Bytes()); len(ds) > 0 {
			t.Fatalf("%s and %s: %+v", a, spread.Bytes(), ds)
		}
		ds := none.Compare(a, b)
		if other := none.Compare(b, a); len(ds) != len(other) {
			t.Fatalf("%s and %s: %+v one way, %+v the other", a, b, ds, other)
		}
		if !Same(all.Compare(a, b)) {
			t.Fatalf("%s and %s: %+v", a, b, all.Compare(a, b))
		}
	})
}

// Whatever two bodies hold, comparing them ends.
func FuzzCompare(f *testing.F) {
	r := rules(f, Rule{Path: "**.x", Rel: 0.1}, Rule{Path: "t", Time: time.Second}, Rule{Path: "s", Set: true}, Rule{Path: "u", ULP: 3})
	f.Add([]byte(`{"x":1e400,"t":"2026-01-01T00:00:00Z"}`), []byte(`{"x":-1e-400,"t":9e99}`))
	f.Add([]byte(`{"s":[1,[2],{"u":1}],"u":1e308}`), []byte(`{"s":[{"u":1},[2],1],"u":-1e308}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if ds := r.Compare(a, a); len(ds) > 0 {
			t.Errorf("differs from itself: %+v", ds)
		}
		for _, d := range r.Compare(a, b) {
			if len(d.Was) > 200 || len(d.Is) > 200 {
				t.Errorf("shown in full: %d and %d octets", len(d.Was), len(d.Is))
			}
		}
	})
}
