package bridge

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A Start is where a relay begins that has never run. The zero Start is
// StartDefault.
type Start struct {
	Kind   StartKind
	Time   time.Time // of StartTime
	Offset uint64    // of StartOffset and StartOrigin: the first to be read
	Stream *Stream   // of StartOrigin
	Shard  int32     // of StartOrigin
}

// A StartKind is a kind of start position.
type StartKind uint8

// The kinds of start positions. No source has all of them: an adapter refuses
// what it has not, with what will not be copied.
const (
	StartDefault StartKind = iota // what the adapter does unless told
	StartNow                      // what comes from now on
	StartFirst                    // all that is retained
	StartTime                     // from the first message at or after a time
	StartOffset                   // from a position, by its number
	StartOrigin                   // from the message that a crossfade-origin names
)

// UnmarshalText reads now, first, a time as in RFC 3339, a number, or an origin
// as crossfade-origin has it.
func (s *Start) UnmarshalText(text []byte) error {
	t := string(text)
	switch t {
	case "":
		*s = Start{}
		return nil
	case "now":
		*s = Start{Kind: StartNow}
		return nil
	case "first":
		*s = Start{Kind: StartFirst}
		return nil
	}
	if n, err := strconv.ParseUint(t, 10, 64); err == nil {
		*s = Start{Kind: StartOffset, Offset: n}
		return nil
	}
	if at, err := time.Parse(time.RFC3339Nano, t); err == nil {
		*s = Start{Kind: StartTime, Time: at}
		return nil
	}
	if o, err := ParseOrigin(t); err == nil {
		if !o.Stream.Replayable {
			return fmt.Errorf("start: %q names a message that can be read only once", Printable(t, 120))
		}
		*s = Start{Kind: StartOrigin, Offset: o.Offset, Stream: o.Stream, Shard: o.Shard}
		return nil
	}
	return errors.New("want now, first, a time such as 2026-01-31T14:00:00Z, a position's number, or an origin out of a crossfade-origin header")
}

// String is what UnmarshalText reads; empty for StartDefault.
func (s Start) String() string {
	switch s.Kind {
	case StartNow:
		return "now"
	case StartFirst:
		return "first"
	case StartTime:
		return s.Time.Format(time.RFC3339Nano)
	case StartOffset:
		return strconv.FormatUint(s.Offset, 10)
	case StartOrigin:
		return Origin{Stream: s.Stream, Shard: s.Shard, Offset: s.Offset}.String()
	}
	return ""
}
