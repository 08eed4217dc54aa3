package bridge

import "time"

// A Parked is a message that was set aside, with why and what waits behind it.
type Parked struct {
	// Ref is what an operator calls it by. The place that stores it sets it.
	Ref    string
	At     time.Time
	Reason Reason
	// Cause is what was said when it was refused last.
	Cause string
	// Shard is that of its receipt: with the key it says what stays in order.
	Shard int32
	// Hold says that later messages of its key are parked behind it, until it and
	// all before it are placed or discarded. // I2
	Hold bool
	// Retry says that an operator wants it sent again. Only what is read has it.
	Retry bool
	// Done says that it was sent again and placed. Only its identity is of use, for
	// the incumbent may deliver it once more. Only what is read has it.
	Done    bool
	Message Message
}
