package telemetry

import (
	flags "flag"
	"os"
	"strings"
	"testing"
)

var update = flags.Bool("update", false, "write the table of metrics into OPERATING.md")

// The operator's table of metrics is the one that the program exports.
func TestOperatingListsEveryMetric(t *testing.T) {
	const path, mark = "../../OPERATING.md", "<!-- metrics: generated; go test ./bridge/telemetry -update writes it -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, table, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatalf("%s has no line %q", path, mark)
	}
	if *update {
		if err := os.WriteFile(path, []byte(head+mark+Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != Markdown() {
		t.Errorf("the table in %s is not that of the program; go test ./bridge/telemetry -update writes it", path)
	}
}
