package adapters

import (
	"github.com/crossfade-mq/crossfade/adapters/kafka"
	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/adapters/rabbitmq"
	"github.com/crossfade-mq/crossfade/bridge"
)

// Table gives every adapter that the command knows, one line each.
func Table() []bridge.Adapter {
	return []bridge.Adapter{
		rabbitmq.Adapter(),
		kafka.Adapter(),
		nats.Adapter(),
		memory.Adapter(),
	}
}
