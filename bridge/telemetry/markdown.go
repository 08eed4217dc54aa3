package telemetry

import (
	"fmt"
	"strings"
)

// Markdown is the table of metrics for the documents.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| metric | type | unit | labels | what it says |\n|---|---|---|---|---|\n")
	for _, m := range Metrics {
		unit := m.Unit
		if unit == "" {
			unit = "–"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", m.Name, m.Type, unit, strings.Join(m.Labels, ", "), m.Help)
	}
	return b.String()
}
