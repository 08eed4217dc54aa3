package nats

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Check is replaced below.
func (o *SourceOpener) Check(ctx context.Context) []bridge.Finding     { return nil }
func (o *coreSourceOpener) Check(ctx context.Context) []bridge.Finding { return nil }
func (o *SinkOpener) Check(ctx context.Context) []bridge.Finding       { return nil }
func (o *coreSinkOpener) Check(ctx context.Context) []bridge.Finding   { return nil }
