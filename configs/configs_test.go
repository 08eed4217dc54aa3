// Package configs holds nothing but configurations, and the test that loads them.
package configs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// certificates makes the files that the tls blocks name.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: der}, "client.pem": {Type: "CERTIFICATE", Bytes: der}, "client.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environment gives the files what they refer to, and a copy of them beside a
// file with a secret.
func environment(t *testing.T) []string {
	t.Helper()
	t.Setenv("RABBITMQ_PASSWORD", "p")
	t.Setenv("NATS_TOKEN", "t")
	t.Setenv("TLS_DIR", certificates(t))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("*.yaml")
	if err != nil || len(names) < 3 {
		t.Fatalf("found %v, %v", names, err)
	}
	for i, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		names[i] = filepath.Join(dir, name)
		if err := os.WriteFile(names[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestEveryFileLoadsAndHolds(t *testing.T) {
	for _, path := range environment(t) {
		c, err := config.Load(path, config.Options{Adapters: adapters.Table()})
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if _, err := engine.New(c, engine.Options{}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Without any environment the files for a user's first run load.
func TestFirstRunsNeedNoEnvironment(t *testing.T) {
	for _, path := range []string{"rabbitmq-to-nats.yaml", "nats-to-rabbitmq.yaml", "kafka-to-nats.yaml", "nats-to-kafka.yaml", "rabbitmq-to-kafka-and-nats.yaml"} {
		if _, err := config.Load(path, config.Options{Adapters: adapters.Table()}); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// options collects what may be configured: every field of every struct that
// something decodes a block into, by block.
type options map[string]bool

func (o options) addType(block string, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return // one value in the file
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, how, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Type == reflect.TypeFor[config.Block]() || name == "-" || !f.IsExported() && !f.Anonymous:
		case how == "inline" || f.Anonymous && name == "":
			o.addType(block, f.Type)
		default:
			o[block+"."+name] = true
			if f.Type.Kind() != reflect.Map {
				o.addType(block+"."+name, f.Type)
			}
		}
	}
}

// spied gives the table with adapters that tell what they decode into.
func (o options) spied() []bridge.Adapter {
	table := adapters.Table()
	for i, a := range table {
		table[i].System = func(name string, settings bridge.Decode) (bridge.System, error) {
			s, err := a.System(name, o.spy(a.Kind, settings))
			return spiedSystem{s, o, a.Kind}, err
		}
	}
	return table
}

func (o options) spy(block string, settings bridge.Decode) bridge.Decode {
	return func(into any) error {
		o.addType(block, reflect.TypeOf(into))
		return settings(into)
	}
}

type spiedSystem struct {
	bridge.System
	options options
	kind    string
}

func (s spiedSystem) Source(id bridge.Identity, d bridge.Decode) (bridge.SourceOpener, error) {
	return s.System.Source(id, s.options.spy(s.kind+" from", d))
}

func (s spiedSystem) Sink(id bridge.Identity, d bridge.Decode) (bridge.SinkOpener, error) {
	return s.System.Sink(id, s.options.spy(s.kind+" to", d))
}

// addFile collects what a file configures, in the same names.
func (o options) addFile(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, s := range file["systems"].([]any) {
		s := s.(map[string]any)
		kinds[s["name"].(string)] = s["kind"].(string)
		o.addValue(s["kind"].(string), s)
	}
	relays, _ := file["relays"].([]any)
	for _, r := range relays {
		for _, side := range []string{"from", "to"} {
			block := r.(map[string]any)[side].(map[string]any)
			o.addValue(kinds[block["system"].(string)]+" "+side, block)
		}
	}
	o.addValue("config", file)
}

func (o options) addValue(block string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			o[block+"."+name] = true
			o.addValue(block+"."+name, x)
		}
	case []any:
		for _, x := range v {
			o.addValue(block, x)
		}
	}
}

func TestEveryOptionIsShown(t *testing.T) {
	there, shown := options{}, options{}
	there.addType("config", reflect.TypeFor[config.Config]())
	for _, path := range environment(t) {
		if _, err := config.Load(path, config.Options{Adapters: there.spied()}); err != nil {
			t.Fatal(err)
		}
		shown.addFile(t, path)
	}
	if len(there) < 80 {
		t.Errorf("only %d options were found, which cannot be all", len(there))
	}
	var missing []string
	for name := range there {
		// Key and ID of a comparison are those of relays.
		for _, part := range []string{".key.", ".id."} {
			name = strings.Replace(name, "comparisons"+part, "relays"+part, 1)
		}
		if !shown[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Errorf("no file shows:\n  %s", strings.Join(missing, "\n  "))
	}
}

// The layered settings are named in the reference with their other names.
func TestReferenceNamesTheLayers(t *testing.T) {
	data, err := os.ReadFile("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"HTTP_LISTEN", "LOG_LEVEL", "LOG_FORMAT"} {
		flag := "--" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		if want := fmt.Sprintf("also CROSSFADE_%s, %s", name, flag); !strings.Contains(string(data), want) {
			t.Errorf("%q is missing", want)
		}
	}
}
