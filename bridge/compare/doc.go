// Package compare makes of two streams what bridge/drift judges, and of its findings
// what a person reads. It knows messages; drift knows numbers only.
package compare
