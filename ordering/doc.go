// Package ordering keeps keyed messages in order while many of them are on
// their way at once. It has three small parts that know nothing of queues:
//
//		           Lane(key)           Gate                     Tracker
//		          ┌─► lane 0 ─► one of a key in flight ─┐   started  0 1 2 3 4 5
//		messages ─┼─► lane 1 ─►        (only where      ├─► done     x x . x . .
//		          └─► lane 2 ─►         it is asked for)┘              ▲
//		                                                   low watermark: Take gives 0, 1
//
//	  - Lane and Hash say which lane owns a key. The answer depends on nothing but
//	    their arguments: it is the same in every process and every release.
//	  - Tracker turns work that ends in any order into a prefix: what came under
//	    the low watermark may be acknowledged, because all that was started before
//	    it has ended too. // I1
//	  - Gate lets at most one value of a key through at a time and makes the others
//	    wait in order, for targets where a failed pipeline may lose one message in
//	    the middle. // I2
//
// Nothing here locks, starts a goroutine or reads a clock. A Tracker or a Gate
// belongs to its caller, who must not use it from two goroutines at once. In
// steady state nothing here allocates: memory grows with the largest number of
// values that were ever held at the same time, and is kept for reuse.
package ordering
