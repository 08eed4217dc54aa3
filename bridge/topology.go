package bridge

import (
	"context"
	"slices"
	"strings"
)

// A Topology is what there is at a system: what producers send to, what holds
// messages and what reads them.
type Topology struct {
	// Kind is the adapter's.
	Kind string
	// System is which system, as in Site.System; empty where it is not known.
	System string
	// Version is what the server says of itself: "4.0.5"; empty where it is not known.
	Version string
	// Nodes is how many servers there are; 0 where it is not known.
	Nodes int
	// Objects are what was seen, in the order of Compare.
	Objects []Object
	// Blind are the roles of which the system was not able to say what there is.
	Blind []Role
	// Unseen says what is not known, and why, a sentence each.
	Unseen []string
}

// A Role is what a thing does at its system, whatever it is called there.
type Role uint8

// The roles, in the order in which things are made.
const (
	// RoleExchange passes on what producers send, and holds nothing.
	RoleExchange Role = iota + 1
	// RoleQueue holds messages until an application has taken them.
	RoleQueue
	// RoleLog holds messages for all who read, and forgets by its own limits.
	RoleLog
	// RoleReader is an application's place in a log: a consumer, a group.
	RoleReader
	// RoleBinding leads from an exchange to a queue, a log or another exchange.
	RoleBinding
)

// An Object is one thing at a system.
type Object struct {
	Role Role
	// Kind is what the system calls it: "topic exchange", "quorum queue",
	// "stream", "consumer", "binding".
	Kind string
	// Name is its name; of a binding, the name of what it leads to.
	Name string
	// From is the exchange of a binding, the log of a reader.
	From string
	// To is the role of what a binding leads to.
	To Role
	// Takes are the names that it takes: a stream's subjects, a reader's filters,
	// what a binding lets through. Empty is all that comes.
	Takes []Pattern
	// Key is a binding's key as it is spelled there.
	Key string
	// Settings are those that are not the system's defaults, by name.
	Settings []Setting
	// Partly says that it may have settings that could not be seen.
	Partly bool
	// Own says that a bridge made it for itself.
	Own bool
	// Refusal says why it cannot be tapped; empty where it can be.
	Refusal string
}

// Setting gives the setting of that meaning.
func (o *Object) Setting(m Meaning) (Setting, bool) {
	if i := slices.IndexFunc(o.Settings, func(s Setting) bool { return s.Meaning == m }); i >= 0 {
		return o.Settings[i], true
	}
	return Setting{}, false
}

// Same says that two are the same thing, however it is set.
func (o *Object) Same(other *Object) bool {
	same := o.Role == other.Role && o.Name == other.Name
	switch {
	case !same || o.Role == RoleExchange || o.Role == RoleQueue || o.Role == RoleLog:
		return same
	case o.Role == RoleReader:
		return o.From == other.From
	}
	return o.From == other.From && o.To == other.To && o.Key == other.Key && slices.Equal(o.Settings, other.Settings)
}

// Compare orders objects so that what others need comes first.
func (o *Object) Compare(other *Object) int {
	if o.Role != other.Role {
		return int(o.Role) - int(other.Role)
	}
	for _, c := range [...]int{strings.Compare(o.From, other.From), strings.Compare(o.Name, other.Name), int(o.To) - int(other.To), strings.Compare(o.Key, other.Key)} {
		if c != 0 {
			return c
		}
	}
	return slices.CompareFunc(o.Settings, other.Settings, Setting.compare)
}

// A Setting is one argument, limit or option of an Object.
type Setting struct {
	Meaning Meaning
	// Name and Value are the system's own: "x-message-ttl", 60000. A Value is a
	// string, a bool, an int64 or a float64.
	Name  string
	Value any
	// N is the value where the meaning has a number: times in nanoseconds, sizes
	// in octets.
	N int64
	// By is the policy that sets it; empty where it is the object's own.
	By string
}

func (s Setting) compare(other Setting) int { return strings.Compare(s.Name, other.Name) }

// SortSettings puts settings in the order that an Object has them in.
func SortSettings(all []Setting) { slices.SortFunc(all, Setting.compare) }

// A Meaning is what a setting does, whatever it is called.
type Meaning uint8

// The meanings.
const (
	MeaningOther         Meaning = iota // not known here
	MeaningExpiry                       // how long a message waits until it is dropped
	MeaningIdle                         // how long a thing stays without use
	MeaningMessages                     // how many messages it holds
	MeaningBytes                        // how many octets of them
	MeaningAge                          // how long it keeps a message, read or not
	MeaningPerKey                       // how many it keeps of one key
	MeaningSize                         // the largest message
	MeaningFull                         // what it does when it is full
	MeaningDeadLetter                   // where messages go that it gives up
	MeaningDeadLetterKey                // with which routing key
	MeaningDeliveries                   // how often it delivers a message until it gives it up
	MeaningPriority                     // how many priorities it knows
	MeaningSingle                       // one consumer at a time, others stand by
	MeaningAlternate                    // where messages go that nothing takes
	MeaningReplicas                     // on how many servers it is stored
	MeaningPartitions                   // into how many parts, each with its own order
	MeaningWindow                       // for how long it knows repeats
	MeaningUnacked                      // how long or how many deliveries may be un-acknowledged
	MeaningStart                        // where a reader begins
	MeaningRemoved                      // messages go away when they were read
	MeaningTransient                    // it, or what it holds, does not survive a restart
	MeaningLeaves                       // it goes when its last user goes
	MeaningInternal                     // producers cannot send to it
	MeaningFlow                         // it takes messages from, or gives them to, other places
	MeaningReaders                      // how many readers it allows
	MeaningTuning                       // how it is stored or spread, which changes nothing that applications see
	MeaningArgument                     // what a binding compares headers with
)

// A Surveyor can say what there is at its system. Systems may have it.
type Surveyor interface {
	// Survey looks and changes nothing. Where the system lists nothing, at least
	// what is asked for, by role and name, is looked for. It may give more than was
	// asked for.
	Survey(ctx context.Context, asked []Object) (Topology, error)
}

// A Provisioner can make things at its system, for the operator and not for the
// bridge: they are no Holding, and no removal touches them. Systems may have it.
type Provisioner interface {
	// Provision makes those that are not there, in order, as they are set. One that
	// is there is left as it is, whatever its settings. It deletes nothing. If it
	// fails, it can be called again.
	Provision(ctx context.Context, objects []Object) error
}
