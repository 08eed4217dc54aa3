package bridge

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is taken for an origin is written as what is read again as the same.
func FuzzParseOrigin(f *testing.F) {
	f.Add("rabbitmq/c/q/1/0/7?")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := ParseOrigin(s)
		if err != nil {
			return
		}
		again, err := ParseOrigin(o.String())
		if err != nil || !reflect.DeepEqual(o, again) {
			t.Fatalf("%q: %+v, then %+v, %v", s, o, again, err)
		}
	})
}

// Whatever template is taken gives different names to messages that differ in what it
// names, the same to those that do not, and never the name of another's literal.
func FuzzTemplates(f *testing.F) {
	f.Add("t.{key}.{address}", "k", "a.b", "x", "k.a", "b", "x")
	f.Add("{exchange}.{key}", "", "", "%", ".", "", "")
	f.Fuzz(func(t *testing.T, text, k1, a1, s1, k2, a2, s2 string) {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			return
		}
		m1, m2 := Message{Key: k1, Address: Address{Space: s1, Name: a1}}, Message{Key: k2, Address: Address{Space: s2, Name: a2}}
		n1, err1 := tmpl.Append(nil, &m1, encodeToken)
		n2, err2 := tmpl.Append(nil, &m2, encodeToken)
		if err1 != nil || err2 != nil {
			return // it names what the messages do not have
		}
		named := func(p part) (string, string) {
			switch p.field {
			case fieldKey:
				return k1, k2
			case fieldAddress:
				return a1, a2
			case fieldSpace:
				return s1, s2
			}
			return "", ""
		}
		differ := false
		for _, p := range tmpl.parts {
			if p.field == fieldToken || p.field == fieldHeader || p.field == fieldProperty {
				return
			}
			x, y := named(p)
			differ = differ || x != y
		}
		if differ == (string(n1) == string(n2)) {
			t.Fatalf("%q makes %q of %+v and %q of %+v", text, n1, m1, n2, m2)
		}
	})
}

func FuzzCarry(f *testing.F) { f.Fuzz(rapid.MakeFuzz(carryAndRestore)) }
