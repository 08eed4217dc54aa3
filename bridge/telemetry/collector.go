package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A Build says which build runs.
type Build struct{ Version, Revision, Go string }

// NewRegistry gives a registry of its own with the bridge's metrics and those of
// the process and of Go. readings and comparisons are called once for each scrape, so
// all figures of a relay are of one moment; they have to be safe for concurrent use.
func NewRegistry(b Build, readings func() []Reading, comparisons func() []Comparison) *prometheus.Registry {
	c := &collector{build: b, readings: readings, comparisons: comparisons}
	for _, m := range Metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.Name, m.Help, m.Labels, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

type collector struct {
	build       Build
	readings    func() []Reading
	comparisons func() []Comparison
	descs       []*prometheus.Desc // of Metrics, in its order
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	readings, comparisons := c.readings(), c.comparisons()
	for i, m := range Metrics {
		if m.each == nil && m.compared == nil {
			ch <- prometheus.MustNewConstMetric(c.descs[i], prometheus.GaugeValue, 1, c.build.Version, c.build.Revision, c.build.Go)
			continue
		}
		t := prometheus.GaugeValue
		if m.Type == Counter {
			t = prometheus.CounterValue
		}
		for j := range comparisons {
			if m.compared == nil {
				break
			}
			m.compared(&comparisons[j], func(v float64, labels ...string) {
				ch <- prometheus.MustNewConstMetric(c.descs[i], t, v, append([]string{comparisons[j].Name}, labels...)...)
			})
		}
		for j := range readings {
			if m.each == nil {
				break
			}
			m.each(&readings[j], func(v float64, labels ...string) {
				ch <- prometheus.MustNewConstMetric(c.descs[i], t, v, append([]string{readings[j].Relay}, labels...)...)
			})
		}
	}
}
