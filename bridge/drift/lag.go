package drift

import (
	"math/bits"
	"time"
)

// A histogram counts durations in buckets that are an eighth of their size wide, over
// the last one to two rotations.
type histogram struct {
	now, before [lagBuckets]uint32
	n           uint64 // in both
	last        uint64 // in before
	turned      time.Duration
}

const (
	lagBuckets = 40 * 8
	rotation   = 5 * time.Minute
)

func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < 8 {
		return int(us)
	}
	k := bits.Len64(us) - 4 // us>>k is 8..15
	return min((k+1)*8+int(us>>k)-8, lagBuckets-1)
}

// ceiling is the highest duration of a bucket.
func ceiling(i int) time.Duration {
	if i < 8 {
		return time.Duration(i+1) * time.Microsecond
	}
	k := i/8 - 1
	return time.Duration(i%8+9) << k * time.Microsecond
}

func (h *histogram) add(d time.Duration) {
	h.now[bucketOf(d)]++
	h.n++
}

func (h *histogram) rotate(now time.Duration) {
	if now-h.turned < rotation {
		return
	}
	h.turned = now
	h.n -= h.last
	h.last = h.n
	h.before, h.now = h.now, [lagBuckets]uint32{}
}

// percentile is no less than what that part of the durations is; 0 if there are none.
func (h *histogram) percentile(p float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	left := uint64(p * float64(h.n))
	for i := range h.now {
		c := uint64(h.now[i]) + uint64(h.before[i])
		if c > left {
			return ceiling(i)
		}
		left -= c
	}
	return ceiling(lagBuckets - 1)
}
