package bridge

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func anyString(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringMatching(`[a-c.~%/{} ]{0,8}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 12), func(b []byte) string { return string(b) }),
	).Draw(t, label)
}

func TestEscapeIsInjectiveAndReversible(t *testing.T) {
	for name, safe := range map[string]func(byte) bool{"token": tokenSafe, "id": idSafe, "origin": originSafe, "property": propertySafe} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s := anyString(t, "s")
			e := string(AppendEscaped(nil, s, safe))
			for i := range len(e) {
				if e[i] != '%' && !safe(e[i]) {
					t.Fatalf("%q lets %q through", e, e[i])
				}
			}
			if back, err := Unescape(e); err != nil || back != s {
				t.Fatalf("%q -> %q -> %q, %v", s, e, back, err)
			}
		}))
	}
}

func TestUnescapeRefusesWhatIsNeverWritten(t *testing.T) {
	for _, s := range []string{"%", "a%4", "%zz", "%4g", "%2a"} {
		if got, err := Unescape(s); err == nil {
			t.Errorf("%q was read as %q", s, got)
		}
	}
}

func TestIDTextIsReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ID{Value: anyString(t, "value"), Scope: Scope(rapid.IntRange(0, 1).Draw(t, "scope")), From: Provenance(rapid.IntRange(0, 2).Draw(t, "from"))}
		key := anyString(t, "key")
		text := id.Text(key)
		if strings.TrimSpace(text) != text || strings.ContainsAny(text, "\r\n ") {
			t.Fatalf("%q would be trimmed", text)
		}
		back, k, err := ParseID(text)
		if err != nil || back != id || k != key {
			t.Fatalf("%+v %q -> %q -> %+v %q, %v", id, key, text, back, k, err)
		}
	})
}

// Two identities that a relay tells apart never share a target's dedup field,
// and the global ones of a producer stay as they are. // I4
func TestNativeIDIsInjective(t *testing.T) {
	type identity struct {
		scope Scope
		key   string // of scope key only
		from  Provenance
		value string
	}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n string) (identity, string) {
			id := ID{Value: anyString(t, n+"value"), Scope: Scope(rapid.IntRange(0, 1).Draw(t, n+"scope")), From: Provenance(rapid.IntRange(0, 2).Draw(t, n+"from"))}
			key := anyString(t, n+"key")
			i := identity{id.Scope, key, id.From, id.Value}
			if id.Scope == ScopeGlobal {
				i.key = ""
			}
			return i, string(id.AppendNative(nil, key))
		}
		a, an := draw("a")
		b, bn := draw("b")
		if (a == b) != (an == bn) {
			t.Fatalf("%+v -> %q, %+v -> %q", a, an, b, bn)
		}
	})
	for _, v := range []string{"kp~a~b", "gp~x", "plain id", "plain"} {
		id := ID{Value: v, Scope: ScopeGlobal}
		back, _, err := ParseNativeID(string(id.AppendNative(nil, "")))
		if err != nil || back != id {
			t.Errorf("%q -> %+v, %v", v, back, err)
		}
	}
	if got := string(ID{Value: "host-1:42", Scope: ScopeGlobal}.AppendNative(nil, "k")); got != "host-1:42" {
		t.Errorf("a plain global ID became %q", got)
	}
	if a, b := (ID{Value: "a"}).Text("k"), (ID{Value: "a "}).Text("k"); strings.TrimSpace(a) == strings.TrimSpace(b) {
		t.Errorf("%q and %q are one after trimming", a, b)
	}
}

func TestOriginIsReversible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Stream{System: anyString(t, "system"), Cluster: anyString(t, "cluster"), Name: anyString(t, "name"), Incarnation: anyString(t, "incarnation"), Replayable: rapid.Bool().Draw(t, "replayable")}
		o := Origin{Stream: s, Shard: rapid.Int32().Draw(t, "shard"), Offset: rapid.Uint64().Draw(t, "offset")}
		back, err := ParseOrigin(o.String())
		if err != nil || *back.Stream != *s || back.Shard != o.Shard || back.Offset != o.Offset {
			t.Fatalf("%q -> %+v, %v", o.String(), back, err)
		}
	})
}

func encodeToken(dst []byte, v string, dotted bool) ([]byte, error) {
	return AppendEscaped(dst, v, func(c byte) bool { return tokenSafe(c) || dotted && c == '.' }), nil
}

// Different messages never get the same name by accident. // I3
func TestTemplateNamesAreInjective(t *testing.T) {
	for _, text := range []string{"{key}", "t.{address}", "{exchange}.{key}", "{exchange}.{address}.{key}", "a.{key}.b.{address}"} {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text, rapid.MakeCheck(func(t *rapid.T) {
			draw := func(n string) (Message, [3]string) {
				var f [3]string
				m := Message{}
				if strings.Contains(text, "{key}") {
					m.Key = anyString(t, n+"key")
					f[0] = m.Key
				}
				if strings.Contains(text, "{address}") {
					m.Address.Name = anyString(t, n+"address")
					f[1] = m.Address.Name
				}
				if strings.Contains(text, "{exchange}") {
					m.Address.Space = anyString(t, n+"space")
					f[2] = m.Address.Space
				}
				return m, f
			}
			a, af := draw("a")
			b, bf := draw("b")
			an, err1 := tmpl.Append(nil, &a, encodeToken)
			bn, err2 := tmpl.Append(nil, &b, encodeToken)
			if err1 != nil || err2 != nil || (af == bf) != (string(an) == string(bn)) {
				t.Fatalf("%q -> %q, %q -> %q; %v %v", af, an, bf, bn, err1, err2)
			}
		}))
	}
}

func TestTemplateRefusesWhatIsAmbiguous(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "empty",
		"{key}{address}":       "need a '.'",
		"a{key}":               "after a '.'",
		"{key}x":               "has to follow",
		"{address}.{subject}":  "once",
		"{nope}":               "unknown placeholder",
		"{token:0}":            "from 1",
		"{token}":              "wants {token:…}",
		"{key:1}":              "nothing behind",
		"{property:nope}":      "no such property",
		"{key":                 "without '}'",
		"a}":                   "without '{'",
		"{header:}":            "wants",
		"x.{token:two}":        "from 1",
		"{exchange}.{key}.{ad": "without",
	} {
		if _, err := ParseTemplate(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}

func TestTemplateRejectsAMessageWithoutTheField(t *testing.T) {
	for text, want := range map[string]string{
		"{header:host}": `no header "host"`, "{property:reply-to}": "no property", "{token:3}": "no token 3",
	} {
		tmpl, err := ParseTemplate(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tmpl.Append(nil, &Message{Address: Address{Name: "a.b"}}, encodeToken)
		if ReasonOf(err) != ReasonName || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	tmpl, _ := ParseTemplate("{token:2}.{header:h}.{property:priority}")
	m := Message{Address: Address{Name: "a.b"}, Headers: []Header{{Name: "h", Value: []byte("x.y")}}, Properties: []Property{{Kind: KindPriority, Num: 7}}}
	if got, err := tmpl.Append(nil, &m, encodeToken); err != nil || string(got) != "b.x%2Ey.7" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPrintableIsInert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Printable(anyString(t, "s")+"\x1b[31m\n\u202e", rapid.IntRange(0, 40).Draw(t, "limit"))
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\x1b\n\r\x00\u202e\"") {
			t.Fatalf("%q", s)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("kp~key~value")
	f.Fuzz(func(t *testing.T, s string) {
		id, key, err := ParseID(s)
		if err != nil {
			return
		}
		again, k, err := ParseID(id.Text(key))
		if err != nil || again != id || k != key {
			t.Fatalf("%q: %+v %q, then %+v %q, %v", s, id, key, again, k, err)
		}
	})
}
