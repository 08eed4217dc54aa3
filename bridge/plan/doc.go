// Package plan says what a candidate needs, so that it serves its applications as
// the incumbent does: the objects, the settings that have no counterpart, the
// routes that nothing matches. It is pure: topologies in, sentences out.
//
//	incumbent's topology ──► scope ──► dialect of the candidate ──► Wanted ──┐
//	      taps of the relay ──┘            ▲ target of the relay             ├─► Plan
//	                                       │           candidate's topology ─┘
//	                                     rules
//
// The scope is what the taps of a relay read, and the applications behind that: the
// queues that are bound to a tapped exchange, the consumers of a tapped log. A
// dialect, one for each kind of system, says which objects the candidate needs for
// them, and rules carry each setting over or say what its loss means.
//
// What is there already is compared and never changed; only what is missing is for
// Provision. A plan is therefore empty once it has been carried out.
package plan
