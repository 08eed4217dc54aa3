package kafka

import (
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// The vectors are those of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for in, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(in))); got != want {
			t.Errorf("murmur2(%q) is %d, want %d", in, got, want)
		}
	}
}

// A key goes to the partition that other producers put it into.
func TestPartitionsAreThoseOfOtherClients(t *testing.T) {
	franz := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	segment := kafkago.Murmur2Balancer{Consistent: true}
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		n := rapid.IntRange(1, 1000).Draw(t, "partitions")
		if key == nil {
			key = []byte{} // franz-go spreads null keys
		}
		got := int(partitionOf(key, int32(n)))
		if want := franz.Partition(&kgo.Record{Key: key}, n); got != want {
			t.Errorf("key %x of %d partitions: %d, franz-go has %d", key, n, got, want)
		}
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		if want := segment.Balance(kafkago.Message{Key: key}, all...); got != want {
			t.Errorf("key %x of %d partitions: %d, kafka-go has %d", key, n, got, want)
		}
	})
	if a, b := partitionOf(nil, 12), partitionOf([]byte{}, 12); a != b {
		t.Errorf("a null key goes to %d, an empty one to %d", a, b)
	}
}
