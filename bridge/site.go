package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Site says what a source reads or a sink writes, in words that hold for as long
// as that is the same thing. By it one relay's name is kept from being used for
// another source or target. Addresses of servers are not part of it: they change.
type Site struct {
	// System is which system, by the identity that it gives itself:
	// "rabbitmq cluster rabbit@a vhost /".
	System string `json:"system"`
	// Names are what is read or written there, sorted: "exchange telemetry".
	// Several where a tap has several origins.
	Names []string `json:"names"`
	// Incarnation tells a stream from one of the same name that was made anew;
	// empty where the system does not tell, or the adapter itself sees to it.
	Incarnation string `json:"incarnation,omitempty"`
}

// String is the site in a few words.
func (s Site) String() string {
	text := s.System + ": " + strings.Join(s.Names, ", ")
	if s.Incarnation != "" {
		text += " (made " + s.Incarnation + ")"
	}
	return text
}

// Same says whether two sites are the same thing, whatever its incarnation. A tap
// may gain and lose origins, as long as one stays.
func (s Site) Same(other Site) bool {
	return s.System == other.System && slices.ContainsFunc(s.Names, func(n string) bool { return slices.Contains(other.Names, n) })
}

// A Sited opener can say what it opens. Openers of sources and sinks have it.
type Sited interface {
	// Site asks the system; it changes nothing. Safe for concurrent use.
	Site(ctx context.Context) (Site, error)
}

// A Named opener says which Names its Site will have, as far as the settings tell.
// Openers of sources and sinks have it, so that relays that lead round are seen
// before anything is connected.
type Named interface {
	// Names connects to nothing. Safe for concurrent use.
	Names() []string
}

// SiteError is what is wrong where a relay's name stood for other; nil if
// nothing is. A Fatal.
func SiteError(relay, side string, was, is Site) error {
	if was.Same(is) {
		return nil
	}
	return Fatal(fmt.Errorf("relay %s: its %s was %q, and the configuration now says %q", relay, side, was, is),
		"A relay's name stands for one source and one target. Give the relay another name, or let this one go with crossfade remove "+relay+" first.")
}

// A Recreatable opener says whether its configuration lets a relay go on where the
// target was made anew. Openers of sinks whose Site has an incarnation have it.
type Recreatable interface {
	AcceptsRecreated() bool
}

// Equal says whether two sites say the same, incarnation included.
func (s Site) Equal(other Site) bool {
	return s.System == other.System && s.Incarnation == other.Incarnation && slices.Equal(s.Names, other.Names)
}
