package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/fields"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

// A Comparison reads two streams, each by a subscription of its own, and says in what
// they differ.
type Comparison struct {
	Name string `yaml:"name"`
	// Relay names the relay whose work is looked at: the incumbent's block, key and id
	// are its own where the comparison has none.
	Relay string `yaml:"relay"`
	// Incumbent and Candidate are blocks as a relay's from. Without start they begin with
	// what comes from now on.
	Incumbent Endpoint     `yaml:"incumbent"`
	Candidate Endpoint     `yaml:"candidate"`
	Key       identify.Key `yaml:"key"`
	ID        identify.ID  `yaml:"id"`
	// Ignore names parts of messages that are not compared: address, time, headers,
	// properties, header:NAME, property:NAME.
	Ignore []string `yaml:"ignore"`
	// Grace is how long a message that was passed by may still come before it is missing.
	Grace time.Duration `yaml:"grace"`
	// Late is from when on a message that came is late; 0 is never.
	Late time.Duration `yaml:"late"`
	// Stuck is how long a key may wait while others go on.
	Stuck  time.Duration    `yaml:"stuck"`
	Limits ComparisonLimits `yaml:"limits"`
	// Windows compares by windows of the messages' own time, in constant memory.
	Windows *Windows `yaml:"windows"`
	// Evidence is what is kept of a difference.
	Evidence Evidence `yaml:"evidence"`

	// Join makes it a comparison of what two consumers produced: records that belong
	// together are compared by Fields, and no order is.
	Join *Join `yaml:"join"`
	// Control is the output of a second run of the incumbent's own consumer, by which its
	// noise is told from the candidate's faults.
	Control *Endpoint `yaml:"control"`
	Fields  []Field   `yaml:"fields"`

	// Identities and Sources are those of the incumbent's reader, the candidate's and, where
	// there is one, the control's.
	Identities [3]bridge.Identity     `yaml:"-"`
	Sources    [3]bridge.SourceOpener `yaml:"-"`
	// Of is the relay that Relay names; nil if it names none.
	Of *Relay `yaml:"-"`
	// Place is file:line of the comparison.
	Place string `yaml:"-"`

	suffix string
}

// ComparisonLimits bound a comparison. Zero values mean its defaults.
type ComparisonLimits struct {
	Pending  int           `yaml:"pending"`
	Remember int           `yaml:"remember"`
	Hold     time.Duration `yaml:"hold"`
}

// Windows are those of a comparison in constant memory. Zero values mean the defaults.
type Windows struct {
	// Every is how long one is, Lateness how much later than its own time the incumbent may
	// have stored a message, Behind how far the candidate may be behind before what it has
	// not is missing.
	Every    time.Duration `yaml:"every"`
	Lateness time.Duration `yaml:"lateness"`
	Behind   time.Duration `yaml:"behind"`
}

// Join says which records belong together.
type Join struct {
	// By is id, window or last.
	By string `yaml:"by"`
	// Every is how long a window is, Time the field of a JSON body that says when a record
	// is of; without it the message's own time does.
	Every time.Duration `yaml:"every"`
	Time  string        `yaml:"time"`
	// And are further fields that records that belong together have in common.
	And []string `yaml:"and"`
}

// A Field is a rule for fields of JSON bodies: one of exact, ignore, present, set, time,
// ulp, or abs and rel. Fields that none fits are to be the same.
type Field struct {
	Path    string        `yaml:"path"`
	Exact   bool          `yaml:"exact"`
	Ignore  bool          `yaml:"ignore"`
	Why     string        `yaml:"why"`
	Present bool          `yaml:"present"`
	Set     bool          `yaml:"set"`
	Time    time.Duration `yaml:"time"`
	ULP     uint64        `yaml:"ulp"`
	Abs     float64       `yaml:"abs"`
	Rel     float64       `yaml:"rel"`
}

// Rules are the rules for fields.
func (x *Comparison) Rules() (*fields.Rules, error) {
	var all []fields.Rule
	for _, f := range x.Fields {
		all = append(all, fields.Rule{
			Path: f.Path, Exact: f.Exact, Ignore: f.Ignore, Why: f.Why, Present: f.Present, Set: f.Set, Time: f.Time, ULP: f.ULP, Abs: f.Abs, Rel: f.Rel,
		})
	}
	return fields.NewRules(all)
}

// Evidence is what is kept of a difference. Zero values mean the defaults.
type Evidence struct {
	// Dir is where bundles are written; empty is nowhere. A relative path is relative to
	// the folder of the file.
	Dir string `yaml:"dir"`
	// Flight is how many octets of the newest messages of each side are held for them.
	Flight Size `yaml:"flight"`
	// Most is how many bundles of a kind are written at once; ten seconds later one more.
	Most int `yaml:"most"`
	// Size bounds what is in Dir, in octets: then no more are written.
	Size Size `yaml:"size"`
	// Redact says what does not leave the process.
	Redact Redact `yaml:"redact"`
}

// Redact names parts of messages that bundles hold hashes of.
type Redact struct {
	Keys    bool     `yaml:"keys"`
	Bodies  bool     `yaml:"bodies"`
	Headers []string `yaml:"headers"`
	// Fields are paths of JSON bodies, as device.owner.
	Fields []string `yaml:"fields"`
}

// The readers of a comparison have names at the brokers as relays have.
const (
	incumbentReader = "-incumbent"
	candidateReader = "-candidate"
	controlReader   = "-control"
)

// Readers are the names that a comparison's readers have at the brokers, in the place of
// a relay's.
func (x *Comparison) Readers() []string {
	names := []string{x.Name + x.suffix + incumbentReader, x.Name + x.suffix + candidateReader}
	if x.Control != nil {
		names = append(names, x.Name+x.suffix+controlReader)
	}
	return names
}

// Comparison gives the comparison of that name; nil if there is none.
func (c *Config) Comparison(name string) *Comparison {
	for _, x := range c.Comparisons {
		if x.Name == name {
			return x
		}
	}
	return nil
}

// Knows says that the configuration has what goes by that name at the brokers: a relay,
// or a comparison's reader.
func (c *Config) Knows(name string) bool {
	return c.Relay(name) != nil || slices.ContainsFunc(c.Comparisons, func(x *Comparison) bool {
		return slices.Contains(x.Readers(), name)
	})
}

// An end is one block of a comparison, by the name that it has in the file.
type end struct {
	name string
	at   *Endpoint
}

// ends are the blocks of a comparison.
func (x *Comparison) ends() []end {
	all := []end{{"incumbent", &x.Incumbent}, {"candidate", &x.Candidate}}
	if x.Control != nil {
		all = append(all, end{"control", x.Control})
	}
	return all
}

// Ends are what a comparison reads: the incumbent, the candidate and, where there is one,
// the control.
func (x *Comparison) Ends() (all []Endpoint) {
	for _, e := range x.ends() {
		all = append(all, *e.at)
	}
	return all
}

// checkComparisons looks at everything that needs no adapter.
func (l *loader) checkComparisons(c *Config) {
	names := map[string]int{}
	for i, x := range c.Comparisons {
		at := fmt.Sprintf("comparisons[%d]", i)
		if n := l.places[at]; n != nil {
			x.Place = fmt.Sprintf("%s:%d", l.file, n.Line)
		}
		l.checkName(at, x.Name, names)
		for _, reader := range []string{x.Name, x.Name + incumbentReader, x.Name + candidateReader, x.Name + controlReader} {
			if c.Relay(reader) != nil && x.Name != "" {
				l.failAt(at+".name", "there is a relay %s; comparisons, and their readers at the brokers, need names of their own", reader)
			}
		}
		x.suffix = l.suffix
		if x.Relay != "" {
			l.checkCompared(at, c, x)
		}
		if err := (identify.Spec{Key: x.Key, ID: x.ID}).Validate(bridge.SourceTraits{Replayable: true}); err != nil {
			l.failIdentify(at, err)
		}
		l.checkOutputs(at, x)
		if err := compare.Ignore(x.Ignore).Validate(); err != nil && !l.failedWithin(at+".ignore") {
			l.failAt(at+".ignore", "%s", strings.TrimPrefix(err.Error(), "ignore: "))
		}
		for name, v := range map[string]int64{
			"limits.pending": int64(x.Limits.Pending), "limits.remember": int64(x.Limits.Remember),
			"evidence.flight": int64(x.Evidence.Flight), "evidence.most": int64(x.Evidence.Most), "evidence.size": int64(x.Evidence.Size),
		} {
			l.checkAtLeastOne(at+"."+name, v)
		}
		if dir := x.Evidence.Dir; dir != "" && !filepath.IsAbs(dir) {
			x.Evidence.Dir = filepath.Join(l.dir, dir)
		}
	}
}

// checkOutputs looks at what makes it a comparison of outputs.
func (l *loader) checkOutputs(at string, x *Comparison) {
	if x.Join == nil {
		for _, name := range []string{"control", "fields"} {
			if l.places[at+"."+name] != nil {
				l.failAt(at+"."+name, "goes with join, which says what records belong together: write join: {by: id}")
			}
		}
		return
	}
	for _, name := range []string{"relay", "ignore", "late", "stuck", "windows"} {
		if l.places[at+"."+name] != nil {
			l.failAt(at+"."+name, "goes with a comparison of what a relay brings, and not with join")
		}
	}
	j := compare.Join{By: x.Join.By, Every: x.Join.Every, Time: x.Join.Time, And: x.Join.And}
	if err := j.Validate(); err != nil && !l.failedWithin(at+".join") {
		l.failAt(at+".join", "%s", err)
	}
	for i := range x.Fields {
		one := Comparison{Fields: x.Fields[i : i+1]}
		if _, err := one.Rules(); err != nil && !l.failedWithin(fmt.Sprintf("%s.fields[%d]", at, i)) {
			l.failAt(fmt.Sprintf("%s.fields[%d]", at, i), "%s", strings.TrimPrefix(err.Error(), "rule 1: "))
		}
	}
}

// checkCompared takes over what the comparison leaves to the relay.
func (l *loader) checkCompared(at string, c *Config, x *Comparison) {
	if x.Of = c.Relay(x.Relay); x.Of == nil {
		var names []string
		for _, r := range c.Relays {
			names = append(names, r.Name)
		}
		l.failAt(at+".relay", "there is no relay %q%s", bridge.Printable(x.Relay, 64), didYouMean(x.Relay, names))
		return
	}
	if l.places[at+".key"] == nil {
		x.Key = x.Of.Key
	}
	if l.places[at+".id"] == nil {
		x.ID = x.Of.ID
	}
}

// bindComparison makes sources of a comparison's blocks.
func (l *loader) bindComparison(at string, c *Config, x *Comparison, systems map[string]*System, names []string) {
	if x.Relay != "" && x.Of == nil {
		return // reported by then
	}
	readers := x.Readers()
	for side, block := range x.ends() {
		x.Identities[side] = bridge.Identity{Bridge: c.Name, Relay: readers[side]}
		path := at + "." + block.name
		settings := block.at.Settings.beginning(l.from, l.from != "")
		if side == 0 && x.Of != nil && l.places[path] == nil {
			if x.Of.Source == nil {
				continue // reported with the relay
			}
			path, *block.at = at+".relay", x.Of.From
			settings = block.at.Settings.beginning(l.from, true)
		}
		if s := l.system(path, *block.at, systems, names); s != nil {
			source, err := s.Source(x.Identities[side], settings.Decode)
			if l.bound(path, settings, err) {
				if w, ok := source.(bridge.Withholder); ok {
					w.Withhold()
				}
				x.Sources[side] = source
			}
		}
	}
}

// beginning is the block with where a comparison's readers begin, which is now unless
// somebody says otherwise: where the block itself says nothing, or whatever it says.
func (b *Block) beginning(from string, anyway bool) *Block {
	if from == "" {
		from = "now"
	}
	with := *b
	if b.mapping == nil {
		return &with
	}
	m := *b.mapping
	m.Content = nil
	said := false
	for i := 0; i+1 < len(b.mapping.Content); i += 2 {
		if b.mapping.Content[i].Value == "start" {
			if anyway {
				continue
			}
			said = true
		}
		m.Content = append(m.Content, b.mapping.Content[i], b.mapping.Content[i+1])
	}
	if !said {
		m.Content = append(m.Content, word("start"), word(from))
	}
	with.mapping = &m
	return &with
}
