// Package console shows what the bridge is doing: metrics for a scraper, probes
// for an orchestrator, the status as JSON and as lines of text. It reads and
// changes nothing.
//
//	GET /metrics        Prometheus text
//	GET /livez          200 while the process serves
//	GET /readyz         200 if every relay makes progress or has nothing to do, else 503
//	GET /api/v1/status  Status as JSON
//	GET /               the status as text
package console
