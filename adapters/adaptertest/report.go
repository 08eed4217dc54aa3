package adaptertest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// An Outcome is what became of a check.
type Outcome string

// The outcomes of a check.
const (
	Proven Outcome = "proven"
	Waived Outcome = "waived"
	Failed Outcome = "failed"
)

// A Result is one cell of the matrix.
type Result struct {
	Group   string  `json:"group"`
	Promise string  `json:"promise"`
	Outcome Outcome `json:"outcome"`
	// Why names the trait that waives, or what a proven check has to add.
	Why string `json:"why,omitempty"`
}

// A Report is what a run of the suite has found out about one adapter.
type Report struct {
	Adapter string   `json:"adapter"`
	Results []Result `json:"results"`
}

// Count is how many checks had that outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			n++
		}
	}
	return n
}

// String is the report as lines, one a check.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d proven, %d waived, %d failed\n", r.Adapter, r.Count(Proven), r.Count(Waived), r.Count(Failed))
	for _, x := range r.Results {
		fmt.Fprintf(&b, "  %-7s %s: %s", x.Outcome, x.Group, x.Promise)
		if x.Why != "" {
			fmt.Fprintf(&b, " (%s)", x.Why)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// save leaves the report in a folder, under the adapter's name.
func (r *Report) save(folder string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			return c
		}
		return '_'
	}, r.Adapter)
	tmp := filepath.Join(folder, "."+name+".tmp")
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(folder, name+".json"))
}

// A Matrix is the reports of any number of adapters.
type Matrix []Report

// ReadMatrix reads the reports that runs with CROSSFADE_MATRIX left in a folder,
// sorted by adapter.
func ReadMatrix(folder string) (Matrix, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, err
	}
	var m Matrix
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var r Report
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("matrix: %s: %w", name, err)
		}
		m = append(m, r)
	}
	slices.SortFunc(m, func(a, b Report) int { return strings.Compare(a.Adapter, b.Adapter) })
	return m, nil
}

// Markdown is the matrix as a table, one line a promise and one column an
// adapter, with the reasons of waivers as numbered notes below it.
func (m Matrix) Markdown() string {
	var b strings.Builder
	b.WriteString("| promise |")
	for i := range m {
		b.WriteString(" " + cell(m[i].Adapter) + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(m)) + "\n")
	var notes []string
	group := ""
	for _, p := range m.promises() {
		if p.Group != group {
			group = p.Group
			b.WriteString("| **" + cell(group) + "** |" + strings.Repeat(" |", len(m)) + "\n")
		}
		b.WriteString("| " + cell(p.Promise) + " |")
		for i := range m {
			b.WriteString(" " + m[i].mark(p, &notes) + " |")
		}
		b.WriteByte('\n')
	}
	for i, n := range notes {
		fmt.Fprintf(&b, "\n%d. %s", i+1, n)
	}
	if len(notes) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}

// promises gives all promises of all reports, in the suite's order.
func (m Matrix) promises() []Result {
	var all []Result
	have := map[[2]string]bool{}
	add := func(group, promise string) {
		if !have[[2]string{group, promise}] {
			have[[2]string{group, promise}] = true
			all = append(all, Result{Group: group, Promise: promise})
		}
	}
	for _, c := range checks {
		for i := range m {
			if _, ok := m[i].find(c.group, c.promise); ok {
				add(c.group, c.promise)
			}
		}
	}
	for i := range m {
		for _, r := range m[i].Results {
			add(r.Group, r.Promise)
		}
	}
	return all
}

func (r *Report) find(group, promise string) (Result, bool) {
	for _, x := range r.Results {
		if x.Group == group && x.Promise == promise {
			return x, true
		}
	}
	return Result{}, false
}

// mark is the cell of a promise; its reason goes into notes.
func (r *Report) mark(p Result, notes *[]string) string {
	x, ok := r.find(p.Group, p.Promise)
	if !ok {
		return "not run"
	}
	if x.Why == "" {
		return string(x.Outcome)
	}
	i := slices.Index(*notes, x.Why)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, x.Why)
	}
	return fmt.Sprintf("%s (%d)", x.Outcome, i+1)
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
