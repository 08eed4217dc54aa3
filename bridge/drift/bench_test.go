package drift

import (
	"fmt"
	"testing"
	"time"
)

// Two readers, one so far behind the other that so many messages are in flight. What is
// reported is for a message, both sides.
func BenchmarkExact(b *testing.B) {
	for _, c := range []struct{ keys, inFlight int }{{10_000, 1_000_000}, {1_000_000, 1_000_000}, {1_000_000, 10_000_000}} {
		b.Run(fmt.Sprintf("keys=%d/flight=%d", c.keys, c.inFlight), func(b *testing.B) {
			x := NewExact(Options{Keys: c.keys})
			one := func(n int) Observation {
				h := uint64(n) * 0x9e3779b97f4a7c15
				key := uint64(n) * 0xd1342543de82ef95 % uint64(c.keys)
				return Observation{Key: mix(key+1) & mask60, ID: h, Body: h ^ 77, Head: uint32(h >> 7), At: time.Duration(n) * time.Microsecond}
			}
			for n := range c.inFlight {
				o := one(n)
				x.Observe(Incumbent, &o)
			}
			r := x.Report()
			b.ResetTimer()
			const batch = 256
			var os [batch]Observation
			for from := 0; from < b.N; from += batch {
				n := min(batch, b.N-from)
				for i := range n {
					os[i] = one(from + i + c.inFlight)
				}
				x.ObserveAll(Incumbent, os[:n])
				for i := range n {
					os[i] = one(from + i)
					os[i].At += time.Duration(c.inFlight) * time.Microsecond
				}
				x.ObserveAll(Candidate, os[:n])
				if from%4096 == 0 {
					x.Advance(os[0].At, Watermarks{})
				}
			}
			b.StopTimer()
			if r := x.Report(); r.Matched != uint64(b.N) || r.Drift != [Kinds]uint64{} {
				b.Fatalf("%+v", r)
			}
			b.ReportMetric(float64(r.Octets-x.opts.Remember*30)/float64(c.inFlight), "B/in-flight")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

// One reader is an hour behind the other: 360 windows of ten seconds are open, each with
// as many messages as there are keys.
func BenchmarkConstant(b *testing.B) {
	for _, c := range []struct{ keys, perWindow, lag int }{{10_000, 20_000, 360}, {1_000_000, 20_000, 360}} {
		b.Run(fmt.Sprintf("keys=%d/lag=%d", c.keys, c.lag), func(b *testing.B) {
			x := NewConstant(ConstantOptions{Keys: c.keys})
			one := func(n int) Observation {
				h := mix(uint64(n))
				key := uint64(n) * 0xd1342543de82ef95 % uint64(c.keys)
				return Observation{Key: mix(key+1) & mask60, ID: h & mask60, Body: h >> 7, Head: uint32(h >> 9), At: time.Duration(n) * time.Microsecond, Window: int64(n / c.perWindow)}
			}
			ahead := c.lag * c.perWindow
			for n := range ahead {
				o := one(n)
				x.Observe(Incumbent, &o)
			}
			b.ResetTimer()
			for n := range b.N {
				o := one(n + ahead)
				x.Observe(Incumbent, &o)
				o = one(n)
				x.Observe(Candidate, &o)
				if n%c.perWindow == 0 {
					w := int64(n / c.perWindow)
					x.Advance(o.At, Watermarks{Windows: [2]int64{w + int64(c.lag), w}})
				}
			}
			b.StopTimer()
			r := x.Report()
			if r.Drift != [Kinds]uint64{} || r.Windows.Overflown > 0 {
				b.Fatalf("%+v", r)
			}
			b.ReportMetric(float64((len(x.windows)+len(x.spare))*x.opts.Cells*cellSize+2*30*x.opts.Remember)/(1<<20), "MiB")
			b.ReportMetric(float64(x.keys.octets())/float64(c.keys), "B/key")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}
