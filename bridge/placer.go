package bridge

import "context"

// A Placer knows where its target keeps what a relay places. Openers of sinks may have it.
type Placer interface {
	// Placed says whether a message that was read from the target is where the target's
	// mapping has it, or has had it since this opener was asked first; known is false where
	// that cannot be told. It asks the system before it says that a message is elsewhere,
	// unless it says so of many. One caller at a time.
	Placed(ctx context.Context, d *Delivery) (right, known bool)
}
