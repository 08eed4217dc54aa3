package compare

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// shown is how many octets of a value a person is shown.
const shown = 64

// show makes octets printable, whatever they are.
func show(b []byte) string {
	if b == nil {
		return "null"
	}
	text := bridge.Printable(string(b), shown)
	if strings.Contains(text, `\x22`) { // JSON is no better for it
		return "'" + strings.ReplaceAll(text, `\x22`, `"`) + "'"
	}
	return `"` + text + `"`
}

func typed(h *bridge.Header) string { return fmt.Sprintf("%c %s", h.Type.Letter(), show(h.Value)) }

func values(hs []*bridge.Header) string {
	all := make([]string, len(hs))
	for i, h := range hs {
		all[i] = typed(h)
	}
	return strings.Join(all, ", ")
}

func propertyText(p bridge.Property) string {
	switch {
	case p.Null:
		return "null"
	case p.Kind.Number():
		return strconv.FormatInt(p.Num, 10)
	}
	return show([]byte(p.Text))
}

func address(a bridge.Address) string {
	s := show([]byte(a.Name))
	if a.Space != "" {
		s = show([]byte(a.Space)) + " " + s
	}
	if a.Partition > 0 {
		s += fmt.Sprintf(" partition %d", a.Partition-1)
	}
	return s
}
