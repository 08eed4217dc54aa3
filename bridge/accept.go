package bridge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Accepts are the words with which a configuration takes on risks, in an
// endpoint's accept list. Every adapter has words of its own; a risk stands where
// the next reader sees it, and what is not accepted is refused.
type Accepts []string

// Has says whether the risk of that word is accepted.
func (a Accepts) Has(word string) bool { return slices.Contains(a, word) }

// Validate refuses words that are not known. The values of known say what each
// accepts.
func (a Accepts) Validate(known map[string]string) error {
	for _, w := range a {
		if _, ok := known[w]; !ok {
			return fmt.Errorf("accept: %q is not one of %s", Printable(w, 40), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	return nil
}
