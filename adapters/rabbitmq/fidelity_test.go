package rabbitmq

import (
	"strings"
	"testing"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
	"github.com/crossfade-mq/crossfade/bridge"
)

// crossing is what becomes of a message at a target, seen with and without the
// bridge's headers.
func crossing(t fataler, to hopTo, m *bridge.Message) (x adaptertest.Crossing, err error) {
	frames, err := testEncoder(to).append(nil, m)
	if err != nil {
		return x, err
	}
	d := asDelivery(t, frames)
	to.kept(d)
	var c decoder
	if to.kind != typeStream {
		c.counts = time.Now
	}
	var got bridge.Delivery
	c.decode(d, 7, &got)
	x.Back = got.Message
	c.message(d, &x.Seen, false) // hop headers are set aside
	return x, nil
}

// Each line that a target declares is what becomes of samples of its field.
func TestCarriesAsDeclared(t *testing.T) {
	for name, to := range kinds() {
		t.Run(name, func(t *testing.T) {
			kind := to.kind
			claim := &adaptertest.Claim{
				Carries: carried(kind, to.major), Gives: given(kind, to.major),
				Own:   bridge.Address{Space: to.exchange, Name: to.queue},
				Cross: func(m *bridge.Message) (adaptertest.Crossing, error) { return crossing(t, to, m) },
				Beyond: map[bridge.Field]*bridge.Message{
					bridge.FieldBody:       {Body: make([]byte, 1<<20+1)},
					bridge.FieldHeaderText: {Headers: []bridge.Header{{Name: "h", Value: make([]byte, 1<<16)}}},
				},
			}
			if kind == toExchange {
				claim.Own.Name = "a.b"
				claim.Beyond[bridge.FieldAddress] = &bridge.Message{Address: bridge.Address{Name: strings.Repeat("k", 256)}}
			}
			claim.Prove(t)
		})
	}
}
