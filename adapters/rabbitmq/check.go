package rabbitmq

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Check looks at the incumbent.
func (o *sourceOpener) Check(ctx context.Context) []bridge.Finding { return nil }

// Check looks at the candidate.
func (o *sinkOpener) Check(ctx context.Context) []bridge.Finding { return nil }
