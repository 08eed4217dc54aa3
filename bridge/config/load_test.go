package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

func TestValuesArrive(t *testing.T) {
	t.Setenv("CF_SECRET", "s3cret: [not yaml]")
	t.Setenv("CF_DEBT", "4096")
	got := map[string]any{}
	c, err := Load("testdata/good/full.yaml", options(func(side string, s any) { got[side] = s }))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"system old": &testSettings{
			URL: "amqp://crossfade:hunter2@rabbit:5672/v", Password: "hunter2", Timeout: 90 * time.Second, Prefetch: 100,
			Port: 5672, Ratio: 0.5, Durable: true, Hosts: []string{"one", "2"}, Labels: map[string]int{"a": 1, "b": 16},
			Extra: map[string]any{"x-max-length": int64(1000), "x-flag": true, "x-name": "text", "x-list": []any{int64(1), 2.5}, "x-none": nil},
			TLS:   &testTLS{CA: "/etc/ca.pem", Key: "s3cret: [not yaml]"},
			Bind:  []testBind{{"telemetry", "site.*.#"}, {"alarms", ""}}, testPosition: testPosition{Start: "now"},
		},
		"system new": &testSettings{
			URL: "nats://s3cret: [not yaml]@nats:4222,nats://b:hunter2@two:4222", Password: "as3cret: [not yaml]b",
			Timeout: 5 * time.Second, Prefetch: 100, Hosts: []string{"one", "2"},
			TLS: &testTLS{CA: "other.pem", Key: "s3cret: [not yaml]"},
		},
		"source plant-7/telemetry": &testEndpoint{Stream: "S", Replayable: true},
		"sink plant-7/telemetry":   &testEndpoint{Stream: "literal ${env:CF_SECRET}"},
		"source plant-7/back":      &testEndpoint{},
	}
	for side, w := range want {
		if !reflect.DeepEqual(got[side], w) {
			t.Errorf("%s:\n got %+v\nwant %+v", side, got[side], w)
		}
	}
	r := c.Relays[0]
	if r.Key != (identify.Key{Token: 3}) || r.ID != (identify.ID{From: "origin", Scope: "global"}) {
		t.Errorf("key %+v, id %+v", r.Key, r.ID)
	}
	limits := Limits{Debt: 4096, Bytes: 64 << 20, Window: 1000, Batch: 100, Drain: 5 * time.Second, Backoff: 10 * time.Millisecond, BackoffMax: time.Second}
	if r.Limits != limits {
		t.Errorf("limits %+v, want %+v", r.Limits, limits)
	}
	if r.Place != "testdata/good/full.yaml:37" || r.Source == nil || r.Sink == nil || r.Identity.String() != "plant-7/telemetry" {
		t.Errorf("place %s, source %v, sink %v, identity %s", r.Place, r.Source, r.Sink, r.Identity)
	}
	if b := c.Relays[1]; b.Park != ParkHold || b.Limits != (Limits{}) {
		t.Errorf("defaults: park %q, limits %+v", b.Park, b.Limits)
	}
}

const minimal = "name: m\nsystems: [{name: a, kind: plain}]\nrelays: [{name: r, from: {system: a}, to: {system: a}}]\n"

func TestLayers(t *testing.T) {
	file := minimal + "http: {listen: \"127.0.0.1:1\"}\nlog: {level: warn}\n"
	for _, c := range []struct {
		name, file, env, flag, want string
	}{
		{"default", minimal, "", "", "127.0.0.1:7117"},
		{"file", file, "", "", "127.0.0.1:1"},
		{"environment over default", minimal, "127.0.0.1:2", "", "127.0.0.1:2"},
		{"environment over file", file, "127.0.0.1:2", "", "127.0.0.1:2"},
		{"flag over environment", file, "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:3"},
		{"flag over default", minimal, "", "off", "off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CROSSFADE_HTTP_LISTEN", c.env)
			o := options(nil)
			o.Flags = pflag.NewFlagSet("t", pflag.ContinueOnError)
			AddFlags(o.Flags)
			if c.flag != "" {
				if err := o.Flags.Parse([]string{"--http-listen", c.flag}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := Parse("f.yaml", []byte(c.file), o)
			if err != nil {
				t.Fatal(err)
			}
			if got.HTTP.Listen != c.want {
				t.Errorf("listen = %q, want %q", got.HTTP.Listen, c.want)
			}
			if !strings.Contains(got.String(), "listen: "+c.want) {
				t.Errorf("printed without %q:\n%s", c.want, got)
			}
		})
	}
}

func TestLayersNameWhatIsWrong(t *testing.T) {
	t.Setenv("CROSSFADE_HTTP_LISTEN", "nowhere")
	t.Setenv("CROSSFADE_LOG_LEVEL", "loud")
	o := options(nil)
	o.Flags = pflag.NewFlagSet("t", pflag.ContinueOnError)
	AddFlags(o.Flags)
	if err := o.Flags.Parse([]string{"--log-level", "quiet"}); err != nil {
		t.Fatal(err)
	}
	_, err := Parse("f.yaml", []byte(minimal), o)
	const want = `CROSSFADE_HTTP_LISTEN: "nowhere": want host:port, such as 127.0.0.1:7117, or off
--log-level: "quiet" is none of debug, info, warn, error`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestFileReferences(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"pw": "hunter2\n", "crlf": "hunter2\r\n", "two": "hunter2\n\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := references{dir, os.LookupEnv}
	for in, want := range map[string]string{
		"${file:pw}": "hunter2", "${file:" + dir + "/pw}": "hunter2", "${file:crlf}": "hunter2", "${file:two}": "hunter2\n",
		"a${file:pw}b${file:pw}": "ahunter2bhunter2", "$${file:pw}": "${file:pw}", "$": "$", "$$": "$$", "{x}": "{x}", "$x": "$x",
	} {
		if got, err := r.expand(in); err != nil || got != want {
			t.Errorf("expand(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${", "${}", "${env}", "${env:}", "${file:}", "${ENV:X}", "${file:absent}", "${file:/dev/zero}"} {
		if got, err := r.expand(in); err == nil {
			t.Errorf("expand(%q) = %q, want an error", in, got)
		}
	}
}

func TestNoFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), options(nil))
	if !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "config: ") {
		t.Errorf("got %v", err)
	}
}

func TestAliasesAreNotExpandedForEver(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: x\nextra: &a0 [1]\n")
	b.WriteString("systems:\n  - name: s\n    kind: test\n    extra:\n      e0: &e0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		prev := string(rune('0' + i - 1))
		b.WriteString("      e" + string(rune('0'+i)) + ": &e" + string(rune('0'+i)) + " [" + strings.Repeat("*e"+prev+", ", 9) + "*e" + prev + "]\n")
	}
	begin := time.Now()
	_, err := Parse("f.yaml", []byte(b.String()), options(nil))
	if err == nil || !strings.Contains(err.Error(), "larger than any configuration") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"0": 0, "5": 5, "5B": 5, "5 kB": 5000, "5KiB": 5120, "64MiB": 64 << 20, "1GB": 1e9, "2GiB": 2 << 30} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q = %d, %v, want %d", in, s, err, want)
		}
	}
	for _, in := range []string{"", "MiB", "-1", "1.5MiB", "5 apples", "9999999999GiB", "5mib", "0x5"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q = %d, want an error", in, s)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"prefetch", "timeout", "url", "username", "backoff_max", "id"}
	for in, want := range map[string]string{
		"prefech": "prefetch", "Prefetch": "prefetch", "pre-fetch": "prefetch", "tiemout": "timeout", "uri": "url",
		"user_name": "username", "backoffMax": "backoff_max", "usr": "", "banana": "", "": "", "di": "id",
	} {
		if got := nearest(in, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRedactURLs(t *testing.T) {
	for in, want := range map[string]string{
		"amqp://u:p@h:5672/v":                "amqp://u:***@h:5672/v",
		"amqp://u:p@ss/w?rd@h":               "amqp://u:***@h",
		"amqp://u:p,q@h":                     "amqp://***@h",
		"nats://token@h:4222":                "nats://***@h:4222",
		"nats://a:b@h1,nats://c:d@h2":        "nats://a:***@h1,nats://c:***@h2",
		"nats://h1,h2:4222":                  "nats://h1,h2:4222",
		`dial "amqp://u:p@h": refused (a@b)`: `dial "amqp://u:***@h": refused (a@b)`,
		"see https://example.org/a":          "see https://example.org/a",
		"a@b":                                "a@b",
		"":                                   "",
	} {
		if got := RedactURLs(in); got != want {
			t.Errorf("RedactURLs(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestDecodeRefusesWhatCannotBeFilled(t *testing.T) {
	b := Block{path: "x", loader: newLoader("f", ".")}
	for _, into := range []any{nil, testTLS{}, new(int), (*testTLS)(nil)} {
		if err := b.Decode(into); err == nil {
			t.Errorf("Decode(%T) has no error", into)
		}
	}
	var _ bridge.Decode = b.Decode
}

func TestTrue(t *testing.T) {
	t.Setenv("CF_WORD", "true")
	for in, want := range map[string]bool{
		"competes: true": true, "competes: false": false, "competes: yes": false, "competes: \"true\"": false, "competes: [true]": false,
		"competes: ${env:CF_WORD}": true, "competes: ": false, "other: true": false, "": false,
	} {
		data := "name: t\nsystems: [{name: a, kind: word}]\nrelays:\n- name: r\n  from:\n    system: a\n    " + in + "\n  to: {system: a}\n"
		o := Options{Adapters: []bridge.Adapter{{Kind: "word", System: func(string, bridge.Decode) (bridge.System, error) { return wordSystem{}, nil }}}}
		c, err := Parse("f.yaml", []byte(data), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Relays[0].From.Settings.True("competes"); got != want {
			t.Errorf("%q: %t, want %t", in, got, want)
		}
	}
}

// wordSystem takes whatever a from block says.
type wordSystem struct{}

func (wordSystem) Source(_ bridge.Identity, d bridge.Decode) (bridge.SourceOpener, error) {
	var any struct {
		Competes any `yaml:"competes"`
		Other    any `yaml:"other"`
	}
	return testOpener{}, d(&any)
}

func (wordSystem) Sink(bridge.Identity, bridge.Decode) (bridge.SinkOpener, error) {
	return testSinkOpener{}, nil
}

func TestListenAddress(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for text, want := range map[string]string{
		minimal: "127.0.0.1:7117",
		"name: x\nhttp: {listen: \"127.0.0.1:9\"}\nsystems: [{password: \"${env:CF_NOT_THERE}\"}]\n": "127.0.0.1:9",
		"http: {listen: \"off\"}\n": "off",
	} {
		if got, err := ListenAddress(write(text), nil); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "http: {listen: nowhere}\n", "http: [x]\n", "a: [\n"} {
		if got, err := ListenAddress(write(text), nil); err == nil {
			t.Errorf("%q: %q, want an error", text, got)
		}
	}
	if _, err := ListenAddress(filepath.Join(t.TempDir(), "absent"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// A comparison takes over what it leaves to its relay, and begins with what comes from
// now on unless it says otherwise itself.
func TestComparisons(t *testing.T) {
	got := map[string]any{}
	c, err := Load("testdata/good/comparisons.yaml", options(func(side string, s any) { got[side] = s }))
	if err != nil {
		t.Fatal(err)
	}
	for side, want := range map[string]testEndpoint{
		"source x/delivery-incumbent":  {Stream: "S", Start: "now"},
		"source x/delivery-candidate":  {Stream: "T", Start: "now"},
		"source x/own-words-incumbent": {Stream: "S", Start: "first"},
		"source x/own-words-candidate": {Stream: "T", Start: "2026-01-01T00:00:00Z"},
		"source x/alone-incumbent":     {Start: "now"},
		"source x/forth":               {Stream: "S", Start: "first"},
	} {
		if e, ok := got[side].(*testEndpoint); !ok || *e != want {
			t.Errorf("%s: %+v, want %+v", side, got[side], want)
		}
	}
	forth := c.Relay("forth")
	if x := c.Comparison("delivery"); x.Of != forth || x.Key != forth.Key || x.ID != forth.ID || x.Sources[0] == nil || x.Sources[1] == nil {
		t.Errorf("%+v", x)
	}
	if x := c.Comparison("own-words"); x.Key.From != "shard" || x.ID != forth.ID || x.Evidence.Flight != 16<<20 || x.Grace != 10*time.Second {
		t.Errorf("%+v", x)
	}
	if !c.Knows("forth") || !c.Knows("alone-candidate") || c.Knows("alone") || c.Comparison("none") != nil {
		t.Error("who is known at the brokers")
	}
}
