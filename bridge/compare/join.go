package compare

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Join says which records of two outputs belong together.
type Join struct {
	// By is JoinID, JoinWindow or JoinLast.
	By string
	// Every is how long a window is, of JoinWindow.
	Every time.Duration
	// Time is the path of the field that holds a record's time; empty is the message's own.
	// Of JoinWindow.
	Time string
	// And are paths of further fields that records that belong together have in common.
	And []string
}

// The ways in which records belong together.
const (
	JoinID     = "id"     // the same key and ID
	JoinWindow = "window" // the same key, in the same window of their own time
	JoinLast   = "last"   // the last of a key, where it is at rest
)

// Validate says what is wrong with it.
func (j *Join) Validate() error {
	switch {
	case j.By != JoinID && j.By != JoinWindow && j.By != JoinLast:
		return fmt.Errorf("by: %q is none of id, window, last", j.By)
	case j.By == JoinWindow && j.Every <= 0:
		return errors.New("every: how long is a window? Write every: 1m")
	case j.By != JoinWindow && (j.Every != 0 || j.Time != ""):
		return fmt.Errorf("every and time go with by: window, and not with %s", j.By)
	}
	return nil
}

// errNoJoin says that a record does not say what it belongs to.
var errNoJoin = errors.New("it does not say what it belongs to")

// of gives what a record has in common with those that belong to it.
func (j *Join) of(m *bridge.Message) (string, error) {
	var b strings.Builder
	b.WriteString(m.Key)
	switch j.By {
	case JoinID:
		if m.ID.IsZero() {
			return "", errNoJoin
		}
		b.WriteByte(0)
		b.WriteString(m.ID.Value)
	case JoinWindow:
		at, ok := j.time(m)
		if !ok {
			return "", errNoJoin
		}
		b.WriteByte(0)
		b.WriteString(strconv.FormatInt(at.UnixNano()/int64(j.Every), 10))
	}
	for _, path := range j.And {
		b.WriteByte(0)
		b.WriteString(gjson.GetBytes(m.Body, path).Raw)
	}
	return b.String(), nil
}

// time is a record's own.
func (j *Join) time(m *bridge.Message) (at time.Time, ok bool) {
	if j.Time == "" {
		return m.Time, !m.Time.IsZero()
	}
	switch v := gjson.GetBytes(m.Body, j.Time); v.Type {
	case gjson.String:
		at, err := time.Parse(time.RFC3339Nano, v.Str)
		return at, err == nil
	case gjson.Number:
		return since1970(v.Num)
	}
	return at, false
}

// since1970 reads a number of seconds, milliseconds, microseconds or nanoseconds since
// 1970, by its size: each unit holds until the year 5138.
func since1970(n float64) (at time.Time, ok bool) {
	const most = 1e11
	if n < 0 {
		return at, false
	}
	for range 4 {
		if n < most {
			seconds := int64(n)
			return time.Unix(seconds, int64((n-float64(seconds))*1e9)), true
		}
		n /= 1000
	}
	return at, false
}
