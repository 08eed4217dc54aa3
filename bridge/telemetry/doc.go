// Package telemetry says what a relay is doing in figures: how far it lags
// behind its incumbent, whether it makes progress, and the metrics that are made
// of both. The names of all metrics are in metrics.go and nowhere else.
//
//	relay.Snapshot ─┐
//	bridge.Backlog ─┼─► Progress.Observe (every second) ─► Progress.Reading ─► metrics, status, health
//	identify.Counts ┘
//
// One Reading is made of one Snapshot, so the law of conservation holds in what
// is exported, and everything that is shown of a relay is made of the same
// Reading. // I5
package telemetry
