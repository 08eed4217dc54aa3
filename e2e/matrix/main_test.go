package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A document is right only if it says what the reports say, and the reports say that
// every check of every system was run and none failed.
func TestCheck(t *testing.T) {
	report := func(adapter string, outcomes ...string) string {
		var results []string
		for i, o := range outcomes {
			results = append(results, `{"group": "g", "promise": "p`+string(rune('0'+i))+`", "outcome": "`+o+`"}`)
		}
		return `{"adapter": "` + adapter + `", "results": [` + strings.Join(results, ",") + `]}`
	}
	good := []string{report("kafka, real", "proven", "waived"), report("nats x", "proven", "proven"), report("quorum, RabbitMQ 3.10", "proven", "proven"), report("quorum, RabbitMQ 4.0", "waived", "proven"), report("memory", "failed")}
	for name, c := range map[string]struct {
		reports []string
		err     string
	}{
		"good":     {good, ""},
		"no kafka": {good[1:], "no report of kafka"},
		"failed":   {append([]string{report("rabbitmq, stream", "proven", "failed")}, good...), "rabbitmq, stream: 1 checks failed"},
		"not run":  {append([]string{report("rabbitmq, stream", "proven")}, good...), "were not run"},
	} {
		t.Run(name, func(t *testing.T) {
			folder, document := t.TempDir(), filepath.Join(t.TempDir(), "C.md")
			for i, r := range c.reports {
				if err := os.WriteFile(filepath.Join(folder, string(rune('a'+i))+".json"), []byte(r), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := run(folder, document, false)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("%v, want %q", err, c.err)
			}
			if err != nil {
				return
			}
			if err := run(folder, document, true); err != nil {
				t.Errorf("checked at once: %v", err)
			}
			if err := os.WriteFile(document, []byte("something else"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(folder, document, true); err == nil || !strings.Contains(err.Error(), "make matrix") {
				t.Errorf("another document: %v", err)
			}
		})
	}
}
