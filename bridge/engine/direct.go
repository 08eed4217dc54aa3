package engine

import (
	"context"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/drift"
)

// direct says that the relay which a comparison names writes into the comparison's candidate
// itself, as far as the configuration tells. If not, something else carries on what the relay
// writes: how far the relay has come, and where it places messages, says nothing of the
// candidate then.
func direct(x *config.Comparison) bool {
	if x.Of == nil || x.Of.To.System != x.Candidate.System {
		return false
	}
	target, known := targetOf(x.Of.Sink)
	return known && target.Feeds(tapsOf(x.Sources[drift.Candidate]))
}

// placing says for each side where the relay's mapping has a message, and where it is; nil
// where there is no mapping that holds for the candidate.
func placing(x *config.Comparison) (of [2]func(*bridge.Delivery) uint32) {
	if !direct(x) {
		return of
	}
	if placer := placerOf(x.Of.Sink); placer != nil {
		of[drift.Incumbent] = func(*bridge.Delivery) uint32 { return inPlace }
		of[drift.Candidate] = placed(placer)
	}
	return of
}

// Where a message is, as a comparison has it: where the mapping has it, or elsewhere.
const (
	inPlace   = 1
	elsewhere = 2
)

// placePatience bounds asking where a message belongs.
const placePatience = 5 * time.Second

// placed says where a message of the candidate is; 0 where that cannot be told.
func placed(by bridge.Placer) func(*bridge.Delivery) uint32 {
	return func(d *bridge.Delivery) uint32 {
		ctx, cancel := context.WithTimeout(context.Background(), placePatience)
		defer cancel()
		switch right, known := by.Placed(ctx, d); {
		case !known:
			return 0
		case right:
			return inPlace
		}
		return elsewhere
	}
}
