package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Options are what a configuration is read against.
type Options struct {
	// Adapters are the kinds of systems there are.
	Adapters []bridge.Adapter
	// Flags may hold the flags that AddFlags adds; nil is none.
	Flags *pflag.FlagSet
	// Suffix goes into the names of comparisons' readers at the brokers, so that they are
	// not those of a bridge that runs the same comparisons.
	Suffix string
	// From is where comparisons begin, as in start, whatever their blocks say; empty
	// leaves it to these.
	From string
	// Environment gives what ${env:NAME} stands for; nil is that of the process.
	Environment func(name string) (value string, is bool)
}

// largestFile is far above what any configuration needs.
const largestFile = 4 << 20

// Load reads and checks a file. Its error is an Errors, with every mistake in it,
// unless the file cannot be read at all. It connects to nothing.
func Load(path string, o Options) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return Parse(path, data, o)
}

// Parse is Load for the content of a file; path is what mistakes and relative
// references go by.
func Parse(path string, data []byte, o Options) (*Config, error) {
	l := newLoader(path, filepath.Dir(path))
	if o.Environment != nil {
		l.environment = o.Environment
	}
	l.suffix, l.from = o.Suffix, o.From
	if len(data) > largestFile {
		l.fail(nil, "", "the file is larger than %d octets", largestFile)
		return nil, l.errs
	}
	root := l.parse(data)
	if root == nil {
		return nil, l.errs
	}
	c := &Config{loader: l}
	l.places[""] = root
	l.value(root, reflect.ValueOf(c).Elem(), "")
	l.layer(c, o.Flags)
	l.check(c)
	l.bind(c, o.Adapters)
	if len(l.errs) > 0 {
		l.errs = l.errs.sorted()
		return nil, l.errs
	}
	return c, nil
}

// parse gives the one mapping that the file holds.
func (l *loader) parse(data []byte) *yaml.Node {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		l.fail(nil, "", "the file is empty; it needs name, systems and relays")
		return nil
	case err != nil:
		l.syntax(err)
		return nil
	}
	switch err := d.Decode(&more); {
	case err == nil:
		l.fail(&more, "", "a second document begins here; a configuration is one")
		return nil
	case !errors.Is(err, io.EOF):
		l.syntax(err)
		return nil
	}
	if len(doc.Content) == 0 {
		l.fail(nil, "", "the file is empty; it needs name, systems and relays")
		return nil
	}
	switch root := doc.Content[0]; {
	case root.ShortTag() == "!!null":
		l.fail(nil, "", "the file is empty; it needs name, systems and relays")
		return nil
	case root.Kind != yaml.MappingNode:
		l.fail(root, "", "want names with values (\"name: value\"), found %s", l.describe(root))
		return nil
	default:
		return root
	}
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(?s:(.*))$`)

// syntax reports what the YAML reader says, with its line where it says one.
func (l *loader) syntax(err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	e := &Error{File: l.file, Text: "not YAML: " + RedactURLs(m[2])}
	if n, err := strconv.Atoi(m[1]); err == nil {
		e.Line = n
	}
	l.errs = append(l.errs, e)
}

// ParseSystems reads the systems of a file's content and looks at nothing else in
// it. It connects to nothing.
func ParseSystems(path string, data []byte, o Options) ([]*System, error) {
	l := newLoader(path, filepath.Dir(path))
	if o.Environment != nil {
		l.environment = o.Environment
	}
	root := l.parse(data)
	if root == nil {
		return nil, l.errs
	}
	part := struct {
		Systems []*System `yaml:"systems"`
		Rest    Block     `yaml:",inline"`
	}{}
	l.value(root, reflect.ValueOf(&part).Elem(), "")
	l.bind(&Config{Systems: part.Systems}, o.Adapters)
	if len(l.errs) > 0 {
		return nil, l.errs.sorted()
	}
	return part.Systems, nil
}

// ListenAddress gives where the console of that file's bridge listens, with the
// environment and the flags as they are here, and looks at nothing else in the
// file.
func ListenAddress(path string, flags *pflag.FlagSet) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	l := newLoader(path, filepath.Dir(path))
	root := l.parse(data)
	if root == nil {
		return "", l.errs
	}
	part := struct {
		HTTP HTTP  `yaml:"http"`
		Rest Block `yaml:",inline"`
	}{}
	l.value(root, reflect.ValueOf(&part).Elem(), "")
	c := &Config{HTTP: part.HTTP}
	l.layer(c, flags)
	l.checkLayers(c)
	if len(l.errs) > 0 {
		return "", l.errs.sorted()
	}
	return c.HTTP.Listen, nil
}
