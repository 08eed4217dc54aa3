package compare

import (
	"bytes"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Change is how one part of a message became another.
type Change string

// The changes. For headers and properties they are the sub-kinds of header_lossy.
const (
	Dropped   Change = "dropped"              // it is not there any more
	Added     Change = "added"                // it was not there
	Renamed   Change = "renamed"              // the same value under another name
	Narrowed  Change = "narrowed"             // the same value with another type
	Collapsed Change = "multivalue_collapsed" // of several of one name some are left
	Truncated Change = "truncated"            // the end is missing
	Changed   Change = "changed"              // another value
)

// A Difference is one part in which the candidate's message differs.
type Difference struct {
	// Path names the part: "body", "header trace", "property priority", "time", …
	Path   string
	Change Change
	// Was and Is are the incumbent's and the candidate's, in printable form, cut.
	Was, Is string
}

// String is one line for a person.
func (d Difference) String() string {
	switch d.Change {
	case Dropped:
		return fmt.Sprintf("%s: dropped, was %s", d.Path, d.Was)
	case Added:
		return fmt.Sprintf("%s: added, is %s", d.Path, d.Is)
	}
	return fmt.Sprintf("%s: %s, was %s, is %s", d.Path, d.Change, d.Was, d.Is)
}

// Explain says in which parts two messages of one identity differ, but for those that are
// ignored. It is empty exactly where their observations are the same.
func Explain(was, is *bridge.Message, ignore Ignore) []Difference {
	was, is = ignore.of(was), ignore.of(is)
	all := explainBody(nil, was.Body, is.Body)
	all = explainHeaders(all, was.Headers, is.Headers)
	all = explainProperties(all, was, is)
	if was.Address != is.Address {
		all = append(all, Difference{"address", Changed, address(was.Address), address(is.Address)})
	}
	return explainTime(all, was.Time, is.Time)
}

func explainBody(all []Difference, was, is []byte) []Difference {
	if (was == nil) == (is == nil) && bytes.Equal(was, is) {
		return all
	}
	d := Difference{"body", Changed, show(was), show(is)}
	switch at := common(was, is); {
	case is == nil:
		d.Change = Dropped
	case was == nil:
		d.Change = Added
	case at == len(is):
		d.Change = Truncated
		d.Was, d.Is = fmt.Sprintf("%d octets", len(was)), fmt.Sprintf("%d octets", len(is))
	case len(was) > shown || len(is) > shown: // show where
		d.Path = fmt.Sprintf("body at octet %d", at)
		d.Was, d.Is = show(was[at:]), show(is[at:])
	}
	return append(all, d)
}

// common is how many octets two texts begin with in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func explainHeaders(all []Difference, was, is []bridge.Header) []Difference {
	names := []string{}
	byName := map[string][2][]*bridge.Header{}
	for side, hs := range [2][]bridge.Header{was, is} {
		for i := range hs {
			of, known := byName[hs[i].Name]
			if !known {
				names = append(names, hs[i].Name)
			}
			of[side] = append(of[side], &hs[i])
			byName[hs[i].Name] = of
		}
	}
	for _, name := range names {
		of := byName[name]
		switch path := "header " + bridge.Printable(name, 64); {
		case len(of[1]) == 0:
			all = append(all, gone(path, name, of[0], byName))
		case len(of[0]) == 0:
			if !renamedTo(name, of[1], byName) {
				all = append(all, Difference{path, Added, "", values(of[1])})
			}
		case len(of[0]) > len(of[1]):
			all = append(all, Difference{path, Collapsed, values(of[0]), values(of[1])})
		case len(of[0]) < len(of[1]):
			all = append(all, Difference{path, Added, values(of[0]), values(of[1])})
		default:
			for i := range of[0] {
				all = explainHeader(all, path, of[0][i], of[1][i])
			}
		}
	}
	return all
}

// gone is a header of which nothing of its name is left: another has its values now, or
// none has.
func gone(path, name string, was []*bridge.Header, byName map[string][2][]*bridge.Header) Difference {
	for other, of := range byName {
		if len(of[0]) == 0 && other != name && sameValues(was, of[1]) {
			return Difference{path, Renamed, bridge.Printable(name, 64), bridge.Printable(other, 64)}
		}
	}
	return Difference{path, Dropped, values(was), ""}
}

// renamedTo says that gone names it.
func renamedTo(name string, is []*bridge.Header, byName map[string][2][]*bridge.Header) bool {
	for other, of := range byName {
		if len(of[1]) == 0 && other != name && sameValues(of[0], is) {
			return true
		}
	}
	return false
}

func sameValues(a, b []*bridge.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Type != b[i].Type || !bytes.Equal(a[i].Value, b[i].Value) || len(a[i].Value) == 0 {
			return false
		}
	}
	return true
}

func explainHeader(all []Difference, path string, was, is *bridge.Header) []Difference {
	same := bytes.Equal(was.Value, is.Value)
	switch {
	case was.Type == is.Type && same:
		return all
	case was.Type != is.Type:
		return append(all, Difference{path, Narrowed, typed(was), typed(is)})
	case len(is.Value) < len(was.Value) && bytes.HasPrefix(was.Value, is.Value):
		return append(all, Difference{path, Truncated, show(was.Value), show(is.Value)})
	}
	return append(all, Difference{path, Changed, show(was.Value), show(is.Value)})
}

func explainProperties(all []Difference, was, is *bridge.Message) []Difference {
	for k := bridge.PropertyKind(1); k.String() != "property?"; k++ {
		a, had := property(was, k)
		b, has := property(is, k)
		path := "property " + k.String()
		switch {
		case had && !has:
			all = append(all, Difference{path, Dropped, propertyText(a), ""})
		case !had && has:
			all = append(all, Difference{path, Added, "", propertyText(b)})
		case a != b:
			all = append(all, Difference{path, Changed, propertyText(a), propertyText(b)})
		}
	}
	return all
}

func explainTime(all []Difference, was, is time.Time) []Difference {
	d := Difference{"time", Changed, was.UTC().Format(time.RFC3339Nano), is.UTC().Format(time.RFC3339Nano)}
	switch {
	case was.Equal(is):
		return all
	case is.IsZero():
		d.Change, d.Is = Dropped, ""
	case was.IsZero():
		d.Change, d.Was = Added, ""
	case was.Truncate(time.Millisecond).Equal(is), was.Truncate(time.Second).Equal(is), was.Truncate(time.Microsecond).Equal(is):
		d.Change = Truncated
	}
	return append(all, d)
}
