package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A kind is a kind of fault that is noted while reading.
type kind uint8

const (
	duplicated kind = iota
	reordered
	altered
	unexpected
	kinds
)

// A Report is the ledger's verdict.
type Report struct {
	// Confirmed is how many messages the incumbent confirmed; Unknown how many
	// were sent and never answered; Returned how many no queue received; Read how
	// many the candidate held.
	Confirmed, Unknown, Returned, Read int
	// Lost: confirmed, and not at the candidate. Duplicated: there once more.
	// Reordered: the first occurrence came after that of a later one of its key.
	// Altered: some part is not what was sent. Unexpected: nobody sent it.
	Lost, Duplicated, Reordered, Altered, Unexpected Finding
}

// A Finding counts one kind of fault.
type Finding struct {
	Count int
	// Keys counts by key; Examples are the first.
	Keys     map[string]int
	Examples []string
}

// Clean says that nothing is wrong.
func (r *Report) Clean() bool {
	return r.Lost.Count+r.Duplicated.Count+r.Reordered.Count+r.Altered.Count+r.Unexpected.Count == 0
}

// Line is the report in one line.
func (r *Report) Line() string {
	return fmt.Sprintf("%d confirmed, %d unknown, %d returned, %d read: lost %d, duplicated %d, reordered %d, altered %d, unexpected %d",
		r.Confirmed, r.Unknown, r.Returned, r.Read, r.Lost.Count, r.Duplicated.Count, r.Reordered.Count, r.Altered.Count, r.Unexpected.Count)
}

// String is the report with the first examples of what is wrong.
func (r *Report) String() string {
	var b strings.Builder
	b.WriteString(r.Line())
	for _, f := range []struct {
		name string
		Finding
	}{{"lost", r.Lost}, {"duplicated", r.Duplicated}, {"reordered", r.Reordered}, {"altered", r.Altered}, {"unexpected", r.Unexpected}} {
		if f.Count == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n  %s: %d of %d keys", f.name, f.Count, len(f.Keys))
		worst := slices.SortedFunc(maps.Keys(f.Keys), func(x, y string) int {
			return cmp.Or(f.Keys[y]-f.Keys[x], strings.Compare(x, y))
		})
		for _, k := range worst[:min(3, len(worst))] {
			fmt.Fprintf(&b, ", %q %d", k, f.Keys[k])
		}
		for _, e := range f.Examples {
			b.WriteString("\n    " + e)
		}
	}
	return b.String()
}

// examples is how many of a kind are kept.
const examples = 5

// A tally counts one kind.
type tally struct {
	count int
	keys  map[string]int
	first []string
}

func (t *tally) add(key, format string, args ...any) {
	t.count++
	if t.keys == nil {
		t.keys = map[string]int{}
	}
	t.keys[key]++
	if len(t.first) < examples {
		t.first = append(t.first, fmt.Sprintf("%q: ", key)+fmt.Sprintf(format, args...))
	}
}

func (t *tally) finding() Finding {
	return Finding{Count: t.count, Keys: maps.Clone(t.keys), Examples: slices.Clone(t.first)}
}
