package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// fieldsWidth is how many characters of field names stand in one row.
const fieldsWidth = 46

// writeFidelities writes for each relay what a consumer at the candidate sees of what
// the source gives, the worst first.
func writeFidelities(w io.Writer, all []engine.Fidelity) error {
	for _, f := range all {
		if _, err := fmt.Fprintf(w, "\nfidelity of %s: %s → %s\n", f.Relay, plain(f.From), plain(f.To)); err != nil {
			return err
		}
		if f.Lines == nil {
			if _, err := fmt.Fprintln(w, "  the target does not say how it carries what"); err != nil {
				return err
			}
			continue
		}
		if err := writeFidelity(w, f); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(w, "\nA hop header is one of crossfade-…: a consumer that needs the field reads it there, and a relay that leads back restores it.")
	return err
}

func writeFidelity(w io.Writer, f engine.Fidelity) error {
	var table strings.Builder
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "CONSUMERS SEE\tFIELD\tNOTE") // Flush gives the error
	before := ""
	for _, l := range f.Lines {
		see, note := l.Outcome.String(), plain(l.Note)
		if l.Reason != "" {
			see += ": " + string(l.Reason)
		}
		said := see
		if see == before {
			said = ""
		}
		before = see
		for _, fields := range rows(l.Fields) {
			_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", said, fields, note)
			said, note = "", ""
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	if !f.Assumed {
		return nil
	}
	_, err := fmt.Fprintln(w, "  the source does not say what it gives: every field is listed")
	return err
}

// rows puts names of fields into rows of a bounded width.
func rows(fields []bridge.Field) []string {
	var out []string
	row := ""
	for i, f := range fields {
		name := f.String()
		if i < len(fields)-1 {
			name += ","
		}
		if row != "" && len(row)+1+len(name) > fieldsWidth {
			out, row = append(out, row), ""
		}
		row = strings.TrimSpace(row + " " + name)
	}
	return append(out, row)
}
