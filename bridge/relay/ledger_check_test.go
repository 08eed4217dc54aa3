package relay_test

import (
	"fmt"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

// A verdict is what a comparison of the two streams finds, independent of the
// relay's own counters.
type verdict struct {
	lost, duplicated, reordered, altered, extra int
	first                                       string
}

func (v *verdict) note(count *int, format string, args ...any) {
	*count++
	if v.first == "" {
		v.first = fmt.Sprintf(format, args...)
	}
}

func (v verdict) clean() bool { return v.lost+v.duplicated+v.reordered+v.altered+v.extra == 0 }

func (v verdict) String() string {
	return fmt.Sprintf("lost %d, duplicated %d, reordered %d, altered %d, extra %d; first: %s",
		v.lost, v.duplicated, v.reordered, v.altered, v.extra, v.first)
}

// compare judges target against incumbent: per key the first occurrences of IDs
// in order, each once, unaltered. parked IDs need not be there. An ID that the
// producer itself stored twice may be there as often: after a crash a relay
// remembers no further back than it recalls, so it may let such a repeat through.
func compare(incumbent, target []memory.Stored, parked map[string]bool) verdict {
	type expect struct {
		ordinal int
		body    string
		times   *int // that it may still be seen
	}
	var v verdict
	want := map[string]map[string]expect{} // key, ID value
	for i := range incumbent {
		m := &incumbent[i]
		ids := want[m.Key]
		if ids == nil {
			ids = map[string]expect{}
			want[m.Key] = ids
		}
		if e, repeat := ids[m.ID.Value]; repeat {
			*e.times++
			continue
		}
		once := 1
		ids[m.ID.Value] = expect{len(ids), string(m.Body), &once}
	}
	seen := map[string]map[string]bool{}
	next := map[string]int{}
	for i := range target {
		m := &target[i]
		e, ok := want[m.Key][m.ID.Value]
		if seen[m.Key] == nil {
			seen[m.Key] = map[string]bool{}
		}
		switch {
		case !ok:
			v.note(&v.extra, "key %q id %q at %d", m.Key, m.ID.Value, m.Position)
			continue
		case seen[m.Key][m.ID.Value] && *e.times > 0:
			*e.times--
			continue
		case seen[m.Key][m.ID.Value]:
			v.note(&v.duplicated, "key %q id %q at %d", m.Key, m.ID.Value, m.Position)
			continue
		case e.body != string(m.Body):
			v.note(&v.altered, "key %q id %q", m.Key, m.ID.Value)
		case e.ordinal < next[m.Key]:
			v.note(&v.reordered, "key %q id %q: ordinal %d after %d", m.Key, m.ID.Value, e.ordinal, next[m.Key]-1)
		}
		seen[m.Key][m.ID.Value] = true
		*e.times--
		next[m.Key] = max(next[m.Key], e.ordinal+1)
	}
	for key, ids := range want {
		for id := range ids {
			if !seen[key][id] && !parked[id] {
				v.note(&v.lost, "key %q id %q", key, id)
			}
		}
	}
	return v
}

func producerID(v string) bridge.ID { return bridge.ID{Value: v} }
