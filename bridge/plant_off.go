//go:build !planted

package bridge

// Planted is false in every shipped binary: it is a constant, so the mistakes
// that it guards are not compiled in. See plant_on.go.
func Planted(Bug) bool { return false }
