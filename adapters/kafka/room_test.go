package kafka

import (
	"fmt"
	"testing"

	"github.com/crossfade-mq/crossfade/bridge"
)

// roomRecords are records with 0 to 3 headers each.
func roomRecords(n int) []record {
	recs := make([]record, n)
	for i := range recs {
		recs[i] = record{offset: int64(i), key: fmt.Appendf(nil, "key %d", i)}
		for j := range i % 4 {
			recs[i].headers = append(recs[i].headers, recordHeader{fmt.Appendf(nil, "name %d", j), fmt.Appendf(nil, "value %d of %d", j, i)})
		}
	}
	return recs
}

// Messages that share memory are what they would be without, whatever is appended to
// one of them, also where a batch has more records than it says.
func TestRoomIsNotShared(t *testing.T) {
	at := place{stream: &bridge.Stream{System: Kind, Name: "t"}}
	recs := roomRecords(200)
	for _, said := range []int{0, 1, 100, 200, mostRoom + 1} {
		var shared room
		shared.begin(said)
		msgs := make([]bridge.Message, len(recs))
		for i := range recs {
			decode(&recs[i], at, &msgs[i], &shared)
		}
		for i := range msgs {
			_ = append(msgs[i].Headers, bridge.Header{Name: "more"})
			_ = append(msgs[i].Properties, bridge.Property{Text: "more"})
		}
		for i := range recs {
			var alone bridge.Message
			decode(&recs[i], at, &alone, nil)
			if got, want := fmt.Sprintf("%+v", msgs[i]), fmt.Sprintf("%+v", alone); got != want {
				t.Errorf("%d records said, record %d: %s, want %s", said, i, got, want)
			}
		}
	}
}

// No message of a batch costs an allocation of its own.
func TestNoAllocationForAMessage(t *testing.T) {
	at := place{stream: &bridge.Stream{System: Kind, Name: "t"}}
	recs := roomRecords(1000)
	var m bridge.Message
	got := testing.AllocsPerRun(10, func() {
		var shared room
		shared.begin(len(recs))
		for i := range recs {
			decode(&recs[i], at, &m, &shared)
		}
	})
	if got > 5 {
		t.Errorf("%v allocations for %d messages", got, len(recs))
	}
}
