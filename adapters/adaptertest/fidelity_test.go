package adaptertest

import (
	"errors"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// claimed is a claim that every field is carried in one way.
func claimed(c bridge.Carriage, cross func(*bridge.Message) (Crossing, error)) *Claim {
	claim := &Claim{Own: bridge.Address{Name: "own"}, Cross: cross}
	for _, f := range bridge.Fields() {
		claim.Carries = append(claim.Carries, bridge.Mapping{Field: f, Carriage: c, Note: "somewhere"})
	}
	return claim
}

func whole(m *bridge.Message) (Crossing, error) { return Crossing{Seen: *m, Back: *m}, nil }

// hidden shows a consumer nothing of a message: another value in every field.
func hidden(m *bridge.Message) (Crossing, error) {
	return Crossing{Seen: bridge.Message{Body: []byte("hidden"), Key: "hidden"}, Back: *m}, nil
}

func dropped(m *bridge.Message) (Crossing, error) {
	return Crossing{Seen: *m, Back: bridge.Message{Body: []byte("x"), Key: "y"}}, nil
}

func refused(*bridge.Message) (Crossing, error) {
	return Crossing{}, bridge.Reject(bridge.ReasonLossy, errors.New("no"))
}

// Every claim that is not true is found out, field by field.
func TestFalseClaimsAreFoundOut(t *testing.T) {
	for _, c := range []struct {
		name  string
		cross func(*bridge.Message) (Crossing, error)
		is    bridge.Carriage
	}{{"natively", whole, bridge.CarriedNatively}, {"in a hop header", hidden, bridge.CarriedInHop}, {"refused", refused, bridge.CarriedNot}, {"dropped", dropped, bridge.CarriedLost}} {
		for said := bridge.CarriedNatively; said <= bridge.CarriedLost; said++ {
			claim := claimed(said, c.cross)
			for _, line := range claim.Carries {
				if said == bridge.CarriedNot {
					line.Parks, line.Limit = bridge.ReasonLossy, "always"
				}
				d := claim.flaw(line)
				if true, lost := d == "", said == bridge.CarriedLost; true != (said == c.is && !lost) {
					t.Errorf("%s, carried %s, said to be %s: %q", line.Field, c.name, said, d)
				}
			}
		}
	}
}

// What is said to be parked needs a sample that is, and a reason.
func TestParkedNeedsProof(t *testing.T) {
	sound := func(m *bridge.Message) (Crossing, error) {
		if len(m.Body) > 1000 {
			return Crossing{}, bridge.Reject(bridge.ReasonOversized, errors.New("large"))
		}
		return whole(m)
	}
	claim := claimed(bridge.CarriedNatively, sound)
	line := bridge.Mapping{Field: bridge.FieldHeaderText, Parks: bridge.ReasonOversized, Limit: "large"}
	if claim.flaw(line) == "" {
		t.Error("no sample was asked for")
	}
	claim.Beyond = map[bridge.Field]*bridge.Message{line.Field: {Body: make([]byte, 1001)}}
	if d := claim.flaw(line); d != "" {
		t.Error(d)
	}
	claim.Beyond[line.Field] = &bridge.Message{Body: make([]byte, 1000)}
	if claim.flaw(line) == "" {
		t.Error("a sample that is not parked passed")
	}
	if line.Parks = ""; claim.flaw(line) == "" {
		t.Error("a sample without a reason passed")
	}
}

// A time to live that becomes a point in time is left out where a place makes one of the
// other, and nothing else is.
func TestDiffersBut(t *testing.T) {
	ttl := []bridge.Property{{Kind: bridge.KindExpiration, Text: "60000"}}
	counts := []bridge.Mapping{{Field: bridge.FieldExpiration}, {Field: bridge.FieldTTL}}
	lost := []bridge.Mapping{{Field: bridge.FieldExpiration, Carriage: bridge.CarriedLost}, {Field: bridge.FieldTTL}}
	living, begun := &bridge.Message{Properties: ttl}, &bridge.Message{Properties: ttl, Expires: time.Unix(9, 0)}
	later := &bridge.Message{Properties: ttl, Expires: time.Unix(10, 0)}
	for name, c := range map[string]struct {
		want, got *bridge.Message
		gives     []bridge.Mapping
		same      bool
	}{
		"it counts":               {living, begun, counts, true},
		"it does not count":       {living, begun, lost, false},
		"it declares nothing":     {living, begun, nil, false},
		"it was counted before":   {begun, later, counts, false},
		"there is no time at all": {&bridge.Message{}, begun, counts, false},
		"something else differs":  {living, &bridge.Message{Properties: ttl, Expires: begun.Expires, Key: "k"}, counts, false},
	} {
		if d := DiffersBut(c.want, c.got, c.gives); (d == "") != c.same {
			t.Errorf("%s: %q", name, d)
		}
	}
}
