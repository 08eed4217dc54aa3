package written

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Time is a point in time as text, whatever year it is in: brokers take timestamps that
// RFC 3339 has no words for. Those are seconds and nanoseconds since 1970: "@SECONDS.NANO".
type Time time.Time

// MarshalText is RFC 3339 where that can say it.
func (t Time) MarshalText() ([]byte, error) {
	at := time.Time(t)
	if text, err := at.MarshalText(); err == nil {
		return text, nil
	}
	return fmt.Appendf(nil, "@%d.%d", at.Unix(), at.Nanosecond()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *Time) UnmarshalText(text []byte) error {
	rest, counted := strings.CutPrefix(string(text), "@")
	if !counted {
		return (*time.Time)(t).UnmarshalText(text)
	}
	s, ns, _ := strings.Cut(rest, ".")
	seconds, err1 := strconv.ParseInt(s, 10, 64)
	nanos, err2 := strconv.ParseInt(ns, 10, 64)
	if err1 != nil || err2 != nil {
		return fmt.Errorf("%q is no time", text)
	}
	*t = Time(time.Unix(seconds, nanos).UTC())
	return nil
}
