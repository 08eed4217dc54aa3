package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/identify"
)

// Names become parts of names at the brokers, so they keep to what all of them
// take.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

const nameRule = "want 1 to 63 letters, digits, '-' and '_', the first a letter or digit"

// check looks at everything that needs no adapter.
func (l *loader) check(c *Config) {
	if l.required("name", c.Name) && !nameForm.MatchString(c.Name) {
		l.failAt("name", "%q: %s", bridge.Printable(c.Name, 64), nameRule)
	}
	l.checkLayers(c)
	if len(c.Systems) == 0 && !l.failedWithin("systems") {
		l.failAt("systems", "there are none; a bridge needs the systems that it connects")
	}
	if len(c.Relays)+len(c.Comparisons) == 0 && !l.failedWithin("relays") && !l.failedWithin("comparisons") {
		l.failAt("relays", "there are none, and no comparisons; a bridge needs at least one of them")
	}
	systems := map[string]int{}
	for i, s := range c.Systems {
		at := fmt.Sprintf("systems[%d]", i)
		l.checkName(at, s.Name, systems)
		l.required(at+".kind", s.Kind)
	}
	relays, files := map[string]int{}, map[string]string{}
	for i, r := range c.Relays {
		at := fmt.Sprintf("relays[%d]", i)
		if n := l.places[at]; n != nil {
			r.Place = fmt.Sprintf("%s:%d", l.file, n.Line)
		}
		l.checkName(at, r.Name, relays)
		l.checkRelay(at, r)
		if other := files[r.ParkFile]; other != "" && r.ParkFile != "" {
			l.failAt(at+".park_file", "relay %s has the same; each needs its own", other)
		}
		files[r.ParkFile] = r.Name
	}
	for i, r := range c.Relays {
		if at := fmt.Sprintf("relays[%d].reverse_of", i); r.ReverseOf != "" && !l.failedWithin(at) {
			l.checkReverse(at, c, r)
		}
	}
	l.checkComparisons(c)
}

// checkReverse looks whether the relay is the way back of the one that it names.
func (l *loader) checkReverse(at string, c *Config, r *Relay) {
	first := c.Relay(r.ReverseOf)
	switch {
	case first == nil:
		var names []string
		for _, other := range c.Relays {
			if other != r {
				names = append(names, other.Name)
			}
		}
		l.failAt(at, "there is no relay %q%s", bridge.Printable(r.ReverseOf, 64), didYouMean(r.ReverseOf, names))
	case first == r:
		l.failAt(at, "names the relay itself; want the relay whose way back this one is")
	case first.ReverseOf == r.Name:
		l.failAt(at, "relays %s and %s name each other; only the one that is the way back names the other", first.Name, r.Name)
	case first.From.System != r.To.System || first.To.System != r.From.System:
		l.failAt(at, "relay %s leads from %s to %s, so its way back leads from %s to %s, and not from %s to %s",
			first.Name, first.From.System, first.To.System, first.To.System, first.From.System, r.From.System, r.To.System)
	}
}

func (l *loader) checkLayers(c *Config) {
	if c.HTTP.Listen != "off" {
		_, port, err := net.SplitHostPort(c.HTTP.Listen)
		if n, errPort := strconv.Atoi(port); err != nil || errPort != nil || n < 0 || n > 65535 {
			l.failLayered("http.listen", "%q: want host:port, such as 127.0.0.1:7117, or off", bridge.Printable(c.HTTP.Listen, 64))
		}
	}
	l.checkWord("log.level", c.Log.Level, "debug", "info", "warn", "error")
	l.checkWord("log.format", c.Log.Format, "auto", "text", "json")
}

// checkWord reports a word that is none of those that there are.
func (l *loader) checkWord(path, got string, words ...string) {
	if slices.Contains(words, got) || l.failedWithin(path) {
		return
	}
	near := ""
	if nearest(got, words) != "" {
		near = didYouMean(got, words)
	}
	l.failLayered(path, "%q is none of %s%s", bridge.Printable(got, 64), strings.Join(words, ", "), near)
}

func (l *loader) checkName(at, name string, seen map[string]int) {
	if !l.required(at+".name", name) {
		return
	}
	if !nameForm.MatchString(name) {
		l.failAt(at+".name", "%q: %s", bridge.Printable(name, 64), nameRule)
		return
	}
	line := 0
	if n := l.places[at+".name"]; n != nil {
		line = n.Line
	}
	if first, ok := seen[name]; ok {
		l.failAt(at+".name", "%q is there twice, first on line %d", name, first)
		return
	}
	seen[name] = line
}

// required reports a text that is not there, unless it is wrong already.
func (l *loader) required(path, value string) bool {
	if value == "" && !l.failedWithin(path) {
		l.failAt(path, "is required")
	}
	return value != ""
}

// failedWithin says that a mistake at or below path is known already.
func (l *loader) failedWithin(path string) bool {
	return slices.ContainsFunc(l.errs, func(e *Error) bool {
		rest, ok := strings.CutPrefix(e.Path, path)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

func (l *loader) checkRelay(at string, r *Relay) {
	l.checkWord(at+".park", r.Park, ParkHold, ParkSkip, ParkStop)
	l.checkWord(at+".order", r.Order, OrderKey, OrderNone)
	if r.ParkFile != "" && r.Park == ParkStop {
		l.failAt(at+".park_file", "has no effect with park: stop; take one of the two away")
	}
	if r.ParkFile != "" && !filepath.IsAbs(r.ParkFile) {
		r.ParkFile = filepath.Join(l.dir, r.ParkFile)
	}
	l.checkLimits(at+".limits", &r.Limits)
	// What depends on the source's promises is left for when they are known.
	if err := (identify.Spec{Key: r.Key, ID: r.ID}).Validate(bridge.SourceTraits{Replayable: true}); err != nil {
		l.failIdentify(at, err)
	}
}

// failIdentify reports mistakes that begin with "key: " or "id: " there.
func (l *loader) failIdentify(at string, err error) {
	for _, e := range unjoin(err) {
		part, text, _ := strings.Cut(e.Error(), ": ")
		path := at + "." + part
		if field, more, ok := strings.Cut(text, ": "); ok && l.places[path+"."+field] != nil {
			path, text = path+"."+field, more
		}
		l.failAt(path, "%s", text)
	}
}

func (l *loader) checkLimits(at string, m *Limits) {
	for name, v := range map[string]int64{"debt": int64(m.Debt), "bytes": int64(m.Bytes), "window": int64(m.Window), "batch": int64(m.Batch), "parked": int64(m.Parked)} {
		l.checkAtLeastOne(at+"."+name, v)
	}
	if m.Backoff > 0 && m.BackoffMax > 0 && m.BackoffMax < m.Backoff {
		l.failAt(at+".backoff_max", "%s is less than backoff, which is %s", m.BackoffMax, m.Backoff)
	}
}

// checkAtLeastOne reports a number that is there and is too small.
func (l *loader) checkAtLeastOne(path string, v int64) {
	if n := l.places[path]; n != nil && v < 1 && n.ShortTag() != "!!null" && !l.failedWithin(path) {
		l.failAt(path, "want at least 1")
	}
}

// wrap gives the mistakes that an adapter reports their place.
func (l *loader) wrap(path string, err error) {
	var found Errors
	if errors.As(err, &found) {
		l.errs = append(l.errs, found...)
		return
	}
	for _, e := range unjoin(err) {
		text := strings.ReplaceAll(bridge.Printable(l.scrub(e.Error()), 1000), `\x22`, `"`)
		if hint := bridge.HintOf(e); hint != "" {
			text += " — " + hint
		}
		l.failAt(path, "%s", text)
	}
}
