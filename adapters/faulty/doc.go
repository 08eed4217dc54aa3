// Package faulty makes the openers of any adapter misbehave in the ways that the
// contract allows and real systems do, so that whatever uses them can be shown
// to stand it.
//
//	relay ──► faulty ──► adapter ──► system
//	             │
//	             ├ before      the call fails, and had no effect
//	             ├ after       the call had its effect, but its answer is lost
//	             ├ duplicate   deliveries come twice
//	             ├ delay       the call takes its time
//	             ├ disconnect  the session ends, its receipts are void
//	             ├ partial     a pipeline fails, and part of it took effect:
//	             │             a prefix, or any subset where the traits say so
//	             ├ zombie      a session's last messages arrive later, behind
//	             │             those of its successor, unless it is fenced
//	             └ refuse      a chosen message is rejected
//
// # Seeds
//
// Each place (the opening of sources, a source's Receive, its Ack, each lane's
// Send, …) draws from a sequence of its own, which depends on the seed and on how
// often the place has been passed, not on what other goroutines do. So a seed
// gives the same faults wherever each place sees the same calls.
//
// All waiting is by timers that end with ctx, and there are no goroutines, so it
// works in the virtual time of testing/synctest.
//
// # Zombies
//
// A real zombie is a predecessor, in this process or another, whose messages are
// still on their way when its successor begins. Here its lane of the adapter is
// left open when the relay closes it, and copies of the messages are sent through
// it once the successor has sent for the first, second or third time: that is
// when a missing fence shows. Faults.Stop forgets those that still wait; their
// lanes of the adapter end with the broker's side. It wants an adapter that lets an earlier session of
// a lane stay open, as memory does; leave its rate at 0 for others.
package faulty
