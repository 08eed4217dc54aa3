package bridge

import "slices"

// A Tap is one thing of which a source reads, and how much of it.
type Tap struct {
	// Role and Name are those of the Object. Match, where it is not nil, stands for the
	// name: what it says of an object that was found.
	Role  Role
	Name  string
	Match func(*Object) bool
	// Key is the binding key of a tap on an exchange, as it is spelled there, and
	// Arguments are what a headers exchange compares.
	Key       string
	Arguments []Setting
	// Takes is what is read of a log; empty is all of it.
	Takes []Pattern
}

// A Tapping opener says what it reads. Openers of sources have it. It connects to
// nothing.
type Tapping interface {
	Taps() []Tap
}

// Of says that an object is tapped.
func (t *Tap) Of(o *Object) bool {
	return t.Role == o.Role && (t.Match == nil && t.Name == o.Name || t.Match != nil && t.Match(o))
}

// A Target is what a sink writes into, as the configuration has it.
type Target struct {
	// Object is what has to be there, with the settings that the configuration
	// gives it. One without a Role is nothing that could be made. Kind may be empty
	// for an exchange, whose type is that of what is tapped, and Name for topics, each
	// of which is a name that Names makes.
	Object Object
	// Names makes the name of each message there, spelled by Encode; nil where all
	// go by the name of the Object.
	Names  *Template
	Encode Encoder
}

// A Targeting opener says what it writes into. Openers of sinks have it. It
// connects to nothing.
type Targeting interface {
	Target() Target
}

// Feeds says that each of several taps reads where the target's messages go, as far as the
// settings of both tell: not which queues and streams an exchange leads to, and not which
// of the topics that a template names are those of a pattern.
func (t *Target) Feeds(taps []Tap) bool {
	if t.Object.Role == 0 || len(taps) == 0 {
		return false
	}
	names := AnyName
	if t.Names != nil {
		names, _ = t.Names.Pattern("", AnyName, t.Encode)
	}
	return !slices.ContainsFunc(taps, func(tap Tap) bool { return !t.feeds(&tap, names) })
}

// feeds says it of one tap, and of what the names of messages are within.
func (t *Target) feeds(tap *Tap, names Pattern) bool {
	switch {
	case tap.Role != t.Object.Role:
		return false
	case t.Object.Name == "": // each message goes to the object of its own name
		return tap.Match == nil && ExactPattern(tap.Name).Overlaps(names)
	case !tap.Of(&t.Object):
		return false
	case tap.Role == RoleExchange:
		return tap.Key == "" || TopicPattern(tap.Key).Overlaps(names) // without a key its type says what is read
	}
	return len(tap.Takes) == 0 || slices.ContainsFunc(tap.Takes, names.Overlaps)
}
