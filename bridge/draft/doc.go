// Package draft writes a first configuration out of what there is at two systems:
// one relay for each thing that can be tapped, and a comment with the reason for
// each that cannot. It is pure: topologies in, YAML out.
//
// A draft takes on no risk that is known to be there: where a tap needs a word of
// accept for what applications get, it is left out, and the comment names the word.
// Only "mandatory", of which nobody but the producers knows whether it matters, is
// written, with what it means beside it.
package draft
