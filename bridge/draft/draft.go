package draft

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Side is one system of a draft.
type Side struct {
	// Name is the system's in the configuration, and Settings are its further
	// lines: "url: amqp://…".
	Name     string
	Settings []string
	bridge.Topology
}

// A Draft is a configuration that nobody has changed yet.
type Draft struct {
	// Text is the YAML.
	Text string
	// Relays and Left are how many things have a relay, and how many a reason why
	// they have none.
	Relays, Left int
}

// A relay is one of a draft, or why there is none.
type relay struct {
	object *bridge.Object // what is read
	reason string         // why there is no relay; the rest is empty then
	notes  []string
	name   string
	from   []string // lines
	to     []string
}

// Write writes a configuration of that name from an incumbent to a candidate. It
// is an error if nothing can be tapped, or nothing can be written there.
func Write(name string, from, to Side) (Draft, error) {
	read, write := sources[from.Kind], targets[to.Kind]
	switch {
	case read == nil:
		return Draft{}, fmt.Errorf("no configuration can be drafted from a system of kind %s", from.Kind)
	case write == nil:
		return Draft{}, fmt.Errorf("no configuration can be drafted to a system of kind %s", to.Kind)
	case from.System != "" && from.System == to.System:
		return Draft{}, fmt.Errorf("both addresses lead to the same system (%s): a draft is between two", from.System)
	}
	d := &drafting{from: &from, to: &to, names: map[string]bool{}}
	relays := read(&from)
	for i := range relays {
		if r := &relays[i]; r.reason == "" {
			r.name = d.free(word(r.object.Name), func(string) bool { return false })
			write(d, r)
		}
	}
	return d.draft(name, relays)
}

// sources are the kinds of incumbents that are known, and targets those of
// candidates: what a relay's to block says.
var (
	sources = map[string]func(*Side) []relay{"rabbitmq": fromRabbit, "nats": fromNATS, "kafka": fromKafka}
	targets = map[string]func(*drafting, *relay){"rabbitmq": toRabbit, "nats": toNATS, "kafka": toKafka}
)

// A drafting is a draft at work.
type drafting struct {
	from, to *Side
	names    map[string]bool // of relays, in lower case
	topics   []string        // that relays write into
}

// free is a name that no relay has yet and that is not taken otherwise.
func (d *drafting) free(name string, taken func(string) bool) string {
	try := name
	for i := 2; d.names[strings.ToLower(try)] || taken(try); i++ {
		try = fmt.Sprintf("%s-%d", name, i)
	}
	d.names[strings.ToLower(try)] = true
	return try
}

var notWord = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// longestWord leaves room for a number within a relay's name.
const longestWord = 48

// word makes a name of letters, digits, '-' and '_' out of any.
func word(s string) string {
	s = strings.Trim(notWord.ReplaceAllString(s, "-"), "-_")
	s = strings.TrimRight(s[:min(len(s), longestWord)], "-_")
	if s == "" {
		return "relay"
	}
	return s
}

const head = `# A first configuration, from what there is at the two systems. Read it before you
# run it, and change what does not fit:
#
#   crossfade plan  -c FILE            what the candidate needs, and what is lost there
#   crossfade plan  -c FILE --apply    makes it
#   crossfade check -c FILE            looks before anything moves
#   crossfade run   -c FILE
#
# Every option there is stands in configs/reference.yaml.

# The bridge's durable identity: what it owns at the brokers is named by it. Keep
# it for as long as the migration lasts.
name: %s

systems:
`

func (d *drafting) draft(name string, relays []relay) (Draft, error) {
	var b strings.Builder
	fmt.Fprintf(&b, head, quoted(name))
	for _, s := range []*Side{d.from, d.to} {
		fmt.Fprintf(&b, "  - name: %s\n    kind: %s\n", s.Name, s.Kind)
		lines(&b, "    ", s.Settings)
	}
	b.WriteString("\nrelays:\n")
	out := Draft{}
	for i := range relays {
		if relays[i].reason == "" {
			out.Relays++
			d.relay(&b, &relays[i])
		}
	}
	if out.Left = len(relays) - out.Relays; out.Relays == 0 {
		return out, fmt.Errorf("there is nothing at %s that can be tapped%s", d.from.Name, reasons(relays))
	}
	if out.Left > 0 {
		comment(&b, "  # ", "What has no relay, and why:")
		for i := range relays {
			if r := &relays[i]; r.reason != "" {
				comment(&b, "  # - ", r.subject()+": "+r.reason)
			}
		}
	}
	for _, unseen := range slices.Concat(d.from.Unseen, d.to.Unseen) {
		comment(&b, "  # ", "Not known: "+unseen)
	}
	out.Text = b.String()
	return out, nil
}

func (d *drafting) relay(b *strings.Builder, r *relay) {
	comment(b, "  # ", r.subject()+".")
	for _, note := range r.notes {
		comment(b, "  # ", note)
	}
	fmt.Fprintf(b, "  - name: %s\n    from:\n      system: %s\n", quoted(r.name), d.from.Name)
	lines(b, "      ", r.from)
	fmt.Fprintf(b, "    to:\n      system: %s\n", d.to.Name)
	lines(b, "      ", r.to)
	b.WriteString("\n")
}

func (r *relay) subject() string { return r.object.Kind + " " + r.object.Name }

func reasons(relays []relay) string {
	var b strings.Builder
	for i := range relays {
		b.WriteString("\n  " + bridge.Printable(relays[i].subject()+": "+relays[i].reason, 300))
	}
	return b.String()
}

func lines(b *strings.Builder, indent string, all []string) {
	for _, line := range all {
		b.WriteString(indent + line + "\n")
	}
}

// comment writes a text as lines of a comment, of about 80 columns.
func comment(b *strings.Builder, begin, text string) {
	line, empty := begin, true
	for _, w := range strings.Fields(bridge.Printable(text, 1000)) {
		if !empty && len(line)+len(w) > 82 {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.ReplaceAll(begin, "-", " ")
		}
		line, empty = line+w+" ", false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

var plainWord = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// quoted is a text as YAML has it.
func quoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
	default:
		if plainWord.MatchString(s) {
			return s
		}
	}
	return strings.ReplaceAll(fmt.Sprintf("%+q", s), "${", "$${")
}
