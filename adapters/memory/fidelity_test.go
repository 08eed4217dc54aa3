package memory

import (
	"testing"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Each line that is declared is what becomes of samples of its field.
func TestCarriesAsDeclared(t *testing.T) {
	b := NewBroker("b")
	if _, err := b.Create(StreamConfig{Name: "S"}); err != nil {
		t.Fatal(err)
	}
	c := Reliable("S")
	c.MaxBody = 1 << 20
	o, err := b.Sink(relay, c)
	if err != nil {
		t.Fatal(err)
	}
	_, lane := openLane(t, b, c, func(int, []bridge.Placement, error) {})
	source := openSource(t, b, SourceConfig{Stream: "S"})
	claim := &adaptertest.Claim{
		Carries: o.Carries(), Gives: everything(), Own: bridge.Address{Name: "S"},
		Cross: func(m *bridge.Message) (x adaptertest.Crossing, err error) {
			if _, err := lane.Send(t.Context(), []*bridge.Message{m}); err != nil {
				return x, err
			}
			x.Back = receive(t, source, 1)[0].Message
			x.Seen = x.Back
			return x, nil
		},
		Beyond: map[bridge.Field]*bridge.Message{bridge.FieldBody: {Body: make([]byte, 1<<20+1)}},
	}
	claim.Prove(t)
}
