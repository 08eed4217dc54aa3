// Package fields compares two bodies field by field, by rules that say how much two
// values may differ: what two runs of one consumer produce is rarely the same to the
// last digit. It is pure, and knows JSON and octets.
//
// A field is named by its path: names and indices with dots in between, as alerts.0.value;
// * stands for any one of them, and ** for any number, none included. Of several rules
// that fit a path the first holds; a field that none fits has to be the same. A rule for a
// list or an object is for all of it, and a field that one side has not is compared as a
// whole: meta.** fits meta too.
//
// Tolerance is not transitive: a within 1 of b, and b of c, says nothing of a and c. So
// bodies are compared in pairs and never by a digest of what is tolerated.
package fields
