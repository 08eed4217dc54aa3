package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// rate is in messages a second, cost in CPU seconds per million messages.
func (r result) rate() float64 { return float64(r.Messages) / r.Seconds }
func (r result) cost() float64 { return r.CPU / float64(r.Messages) * 1e6 }

// allocs is per message.
func (r result) allocs() float64 { return float64(r.Mallocs) / float64(r.Messages) }

// megabytes is the most memory that was resident.
func (r result) megabytes() float64 { return float64(r.Peak) / (1 << 20) }

// median is that of what of gives for each result.
func median(rs []result, of func(result) float64) float64 {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = of(r)
	}
	return middle(values)
}

// middle is the median of values, which it sorts.
func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[n/2] + values[(n-1)/2]) / 2
}

// A table is printed with its columns aligned: text to the left, numbers to the
// right.
type table struct {
	text int // so many columns are text
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(out io.Writer) error {
	width := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t.rows {
		line := ""
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i < t.text {
				line += c + pad + "  "
			} else {
				line += pad + c + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// ratio is the median of the rounds' ratios of b to a: what else the machine does
// changes from round to round, and less within one.
func ratio(a, b []result, of func(result) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = of(b[i]) / of(a[i])
	}
	return middle(ratios)
}

// routesTable has one line for each contestant of each route, with its ratio to
// the first one there.
func routesTable(all [][]measurement) *table {
	t := &table{text: 3}
	t.add("route", "keys", "contestant", "msg/s", "ratio", "CPU s/M", "ratio", "allocs/msg", "peak MB")
	for _, group := range all {
		first := group[0].results
		for _, m := range group {
			t.add(m.route.title, string(m.keys), m.contestant,
				fmt.Sprintf("%.0f", median(m.results, result.rate)), fmt.Sprintf("%.2f", ratio(first, m.results, result.rate)),
				fmt.Sprintf("%.1f", median(m.results, result.cost)), fmt.Sprintf("%.2f", ratio(first, m.results, result.cost)),
				fmt.Sprintf("%.1f", median(m.results, result.allocs)), fmt.Sprintf("%.0f", median(m.results, result.megabytes)))
		}
	}
	return t
}

// memoryTable has the figures of the relay by itself. Messages per CPU second are
// what one processor does that has nothing else to do.
func memoryTable(all []measurement) *table {
	t := &table{text: 1}
	t.add("in memory, one processor", "msg/s", "msg per CPU s", "allocs/msg", "peak MB")
	for _, m := range all {
		t.add(m.contestant, fmt.Sprintf("%.0f", median(m.results, result.rate)), fmt.Sprintf("%.0f", 1e6/median(m.results, result.cost)),
			fmt.Sprintf("%.2f", median(m.results, result.allocs)), fmt.Sprintf("%.0f", median(m.results, result.megabytes)))
	}
	return t
}
