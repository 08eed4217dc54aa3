package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// testSettings has a field of every kind that adapters use.
type testSettings struct {
	URL      string         `yaml:"url"`
	Password bridge.Secret  `yaml:"password"`
	Timeout  time.Duration  `yaml:"timeout"`
	Prefetch int            `yaml:"prefetch"`
	Port     uint16         `yaml:"port"`
	Ratio    float64        `yaml:"ratio"`
	Durable  bool           `yaml:"durable"`
	Hosts    []string       `yaml:"hosts"`
	Labels   map[string]int `yaml:"labels"`
	Extra    map[string]any `yaml:"extra"`
	TLS      *testTLS       `yaml:"tls"`
	Bind     []testBind     `yaml:"bind"`
	testPosition
}

type testTLS struct {
	CA  string        `yaml:"ca"`
	Key bridge.Secret `yaml:"key"`
}

type testBind struct {
	Exchange string `yaml:"exchange"`
	Key      string `yaml:"key"`
}

type testPosition struct {
	Start string `yaml:"start"`
}

// testAdapter has systems that take settings and refuse what a real one would.
// Its endpoints take testEndpoint, whatever is configured.
func testAdapter(got func(side string, s any)) bridge.Adapter {
	return bridge.Adapter{Kind: "test", System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s := &testSettings{Prefetch: 100, Timeout: 5 * time.Second}
		if err := settings(s); err != nil {
			return nil, err
		}
		if strings.Contains(s.URL, "bad url") {
			return nil, bridge.Fatal(fmt.Errorf("test: url %q: cannot be read, password %s", s.URL, string(s.Password)), "Write host:port.")
		}
		got("system "+name, s)
		return testSystem{got}, nil
	}}
}

type testSystem struct{ got func(side string, s any) }

type testEndpoint struct {
	Stream     string `yaml:"stream"`
	Replayable bool   `yaml:"replayable"`
	Start      string `yaml:"start"`
}

func (s testSystem) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	e := &testEndpoint{}
	if err := settings(e); err != nil {
		return nil, err
	}
	s.got("source "+id.String(), e)
	return testOpener{replayable: e.Replayable}, nil
}

func (s testSystem) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	e := &testEndpoint{}
	if err := settings(e); err != nil {
		return nil, err
	}
	s.got("sink "+id.String(), e)
	return testSinkOpener{}, nil
}

type testOpener struct {
	bridge.SourceOpener
	replayable bool
}

func (o testOpener) Traits() bridge.SourceTraits {
	return bridge.SourceTraits{Replayable: o.replayable}
}

type testSinkOpener struct{ bridge.SinkOpener }

// plainAdapter takes no settings and never asks for them.
var plainAdapter = bridge.Adapter{Kind: "plain", System: func(string, bridge.Decode) (bridge.System, error) {
	return testSystem{func(string, any) {}}, nil
}}

func options(got func(side string, s any)) Options {
	if got == nil {
		got = func(string, any) {}
	}
	return Options{Adapters: []bridge.Adapter{testAdapter(got), plainAdapter}}
}

// wants gives the lines "# want TEXT" of a file.
func wants(data []byte) (out []string) {
	for line := range strings.Lines(string(data)) {
		if w, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "# want "); ok {
			out = append(out, w)
		}
	}
	return out
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no files, %v", pattern, err)
	}
	return paths
}

func TestBadFiles(t *testing.T) {
	t.Setenv("CF_SECRET", "hunter2!")
	for _, path := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Load(path, options(nil))
			if err == nil {
				t.Fatalf("loaded:\n%s", c)
			}
			var es Errors
			if !errors.As(err, &es) {
				t.Fatalf("error is a %T: %v", err, err)
			}
			var got []string
			for _, e := range es {
				got = append(got, strings.TrimPrefix(e.Error(), path+":"))
			}
			if want := wants(data); !slices.Equal(got, want) {
				t.Errorf("got:\n# want %s\n\nwant:\n# want %s", strings.Join(got, "\n# want "), strings.Join(want, "\n# want "))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is in the messages:\n%v", err)
			}
		})
	}
}

func TestGoodFiles(t *testing.T) {
	t.Setenv("CF_SECRET", "hunter2!")
	t.Setenv("CF_DEBT", "4096")
	for _, path := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c, err := Load(path, options(nil))
			if err != nil {
				t.Fatal(err)
			}
			printed := c.String()
			want, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".printed")
			if err != nil || printed != string(want) {
				t.Errorf("printed (%v):\n%s", err, printed)
			}
			if strings.Contains(printed, "hunter2") {
				t.Errorf("a secret is printed:\n%s", printed)
			}
			again, err := Parse(path, []byte(printed), options(nil))
			if err != nil {
				t.Fatalf("the print-out does not load: %v\n%s", err, printed)
			}
			if again.String() != printed {
				t.Errorf("the print-out prints as:\n%s", again)
			}
		})
	}
}
