package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// An Error is one mistake and where it stands.
type Error struct {
	File string
	// Line and Column count from 1; 0 is not known.
	Line, Column int
	// Path is where in the configuration: "relays[0].limits.debt".
	Path string
	// Text says what is wrong and, where it can, what to write instead.
	Text string
}

// Error is file:line:column: path: text.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Text)
	return b.String()
}

// Errors are all the mistakes of a file, in its order.
type Errors []*Error

// mostErrors bounds how many mistakes are printed.
const mostErrors = 40

// Error is one line for each.
func (es Errors) Error() string {
	var b strings.Builder
	for i, e := range es {
		if i == mostErrors {
			fmt.Fprintf(&b, "\nand %d more", len(es)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Error())
	}
	return b.String()
}

// sorted puts the mistakes into the order of the file and drops repetitions.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(es, func(a, b *Error) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Path == b.Path && a.Text == b.Text
	})
}
