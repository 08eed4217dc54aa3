package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Ignore names parts of messages that are not compared: "address", "time", "headers",
// "properties", "header:NAME", "property:NAME". Where no relay of ours brought the
// messages, systems give some of them anew.
type Ignore []string

// Validate says which words are none.
func (g Ignore) Validate() error {
	for _, w := range g {
		part, name, named := strings.Cut(w, ":")
		ok := slices.Contains([]string{"address", "time", "headers", "properties"}, w)
		if named && name != "" {
			ok = part == "header"
			if part == "property" {
				if _, ok = bridge.PropertyOfName(name); !ok {
					return fmt.Errorf("ignore: there is no property %q", bridge.Printable(name, 40))
				}
			}
		}
		if !ok {
			return fmt.Errorf("ignore: %q is none of address, time, headers, properties, header:NAME, property:NAME", bridge.Printable(w, 40))
		}
	}
	return nil
}

// of is the message without those parts. It shares memory with m.
func (g Ignore) of(m *bridge.Message) *bridge.Message {
	if len(g) == 0 {
		return m
	}
	x := *m
	for _, w := range g {
		part, name, _ := strings.Cut(w, ":")
		switch part {
		case "address":
			x.Address = bridge.Address{}
		case "time":
			x.Time = time.Time{}
		case "headers":
			x.Headers = nil
		case "properties":
			x.Properties = nil
		case "header":
			x.Headers = slices.DeleteFunc(slices.Clone(x.Headers), func(h bridge.Header) bool { return strings.EqualFold(h.Name, name) })
		case "property":
			x.Properties = slices.DeleteFunc(slices.Clone(x.Properties), func(p bridge.Property) bool { return p.Kind.String() == name })
		}
	}
	return &x
}
