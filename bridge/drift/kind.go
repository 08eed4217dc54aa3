package drift

// A Kind names one way in which the candidate differs from the incumbent.
type Kind uint8

// The kinds of drift. The package documentation defines them.
const (
	Missing Kind = iota
	Extra
	Duplicate
	Reordered
	Corrupted
	HeaderLossy
	Misrouted
	Late
	StuckKey
	Loop
	Kinds // how many there are
)

var kindNames = [Kinds]string{
	"missing", "extra", "duplicate", "reordered", "corrupted", "header_lossy", "misrouted", "late", "stuck_key", "loop",
}

// String is the kind's name in reports, metrics and bundles.
func (k Kind) String() string {
	if k < Kinds {
		return kindNames[k]
	}
	return "?"
}

// KindOf is the kind of that name.
func KindOf(name string) (Kind, bool) {
	for k := range Kinds {
		if kindNames[k] == name {
			return k, true
		}
	}
	return 0, false
}

// A Side is one of the two streams.
type Side uint8

// The two sides.
const (
	Incumbent Side = iota
	Candidate
	sides
)

// String is the side's name in reports.
func (s Side) String() string { return [...]string{"incumbent", "candidate"}[s&1] }
