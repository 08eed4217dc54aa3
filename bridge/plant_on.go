//go:build planted

package bridge

import (
	"os"
	"sync/atomic"
)

var planted atomic.Value

func init() { Plant(Bug(os.Getenv("CROSSFADE_PLANT"))) }

// Plant makes the one named mistake until another is planted; "" is none. It
// exists only in builds with the tag "planted", which tests make to show that
// they can fail.
func Plant(b Bug) { planted.Store(b) }

// Planted says whether that mistake is to be made.
func Planted(b Bug) bool { return planted.Load() == b }
