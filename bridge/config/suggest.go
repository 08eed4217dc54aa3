package config

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean gives "; did you mean …?" for the nearest of the names, the names
// themselves if there are few and none is near, or "".
func didYouMean(got string, names []string) string {
	if best := nearest(got, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(names) == 0 || len(names) > 12 {
		return ""
	}
	names = slices.Sorted(slices.Values(names))
	return "; there is " + strings.Join(names, ", ")
}

// nearest gives the name that differs from got by the fewest edits, and by no
// more than a third of its length; "" if there is none.
func nearest(got string, names []string) string {
	best, distance := "", 0
	for _, name := range names {
		d := edits(folded(got), folded(name))
		if d > max(1, len(name)/3) {
			continue
		}
		if best == "" || d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	return best
}

// folded takes away the differences that people do not see.
func folded(s string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s))
}

// edits counts insertions, deletions, substitutions and swaps of neighbours
// between a and b.
func edits(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
