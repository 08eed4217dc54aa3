package kafka

import (
	"testing"
)

// A session begins where the one before it has acknowledged, partition by partition.
func TestSourceGoesOn(t *testing.T) {
	c := startCluster(t)
	c.topic(t, "a", 2)
	cl := c.client(t)
	put(t, cl, "a", 2, 0, 10)
	o := c.system(t).from(t, SourceConfig{Topics: []string{"a"}})
	s := openSource(t, o)
	got := take(t, s, 10)
	var acked []int
	for i, d := range got {
		if len(acked) < 6 {
			acked = append(acked, i)
			ackAll(t, s, d)
		}
	}
	s.Close()
	s = openSource(t, o)
	again := take(t, s, 4)
	if bodiesOf(again) != bodiesOf(got[6:]) {
		t.Errorf("first %s, then %s", bodiesOf(got), bodiesOf(again))
	}
	put(t, cl, "a", 2, 10, 20)
	ackAll(t, s, append(again, take(t, s, 10)...)...)
	s.Close()
}
