// Package adaptertest is the conformance suite that every adapter passes. One
// call proves the promises of package bridge against a system:
//
//	func TestConformance(t *testing.T) {
//		adaptertest.Run(t, adaptertest.Harness{Name: "memory", New: fixture})
//	}
//
// There is no menu. Every check runs; a trait that does not promise something
// waives the checks that would prove it, and the run prints "waived by trait …".
// The checks are named as the promises that they prove, and a Report holds what
// became of each. With CROSSFADE_MATRIX set to a folder, each run leaves its
// Report there as JSON; Matrix renders any number of them as one table.
//
//	Harness.New ──► Fixture ──► Start ──► Process (openers, Kill)
//	                  │  ▲
//	              Put │  │ Read, by clients that are not the adapter's
//	                  ▼  │
//	               the system
//
// The checks talk to the narrow interface T, so that the suite can be run on
// adapters that are wrong on purpose; each of those is caught.
package adaptertest
