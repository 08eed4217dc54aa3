package adaptertest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func reports() Matrix {
	return Matrix{
		{Adapter: "memory/a", Results: []Result{
			{"Ack", "a repeat is harmless", Proven, ""},
			{"Receive", "blocks until a message comes", Failed, ""},
			{"Fence", "what a predecessor sends late is refused", Waived, "trait Fence: none"},
		}},
		{Adapter: "other | b", Results: []Result{
			{"Ack", "a repeat is harmless", Proven, "but slowly"},
			{"Fence", "what a predecessor sends late is refused", Waived, "trait Fence: none"},
			{"Fourth", "a promise of a later version", Proven, ""},
		}},
	}
}

func TestMatrixAsMarkdown(t *testing.T) {
	want := strings.TrimLeft(`
| promise | memory/a | other \| b |
|---|---|---|
| **Receive** | | |
| blocks until a message comes | failed | not run |
| **Ack** | | |
| a repeat is harmless | proven | proven (1) |
| **Fence** | | |
| what a predecessor sends late is refused | waived (2) | waived (2) |
| **Fourth** | | |
| a promise of a later version | not run | proven |

1. but slowly
2. trait Fence: none
`, "\n")
	if got := reports().Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMatrixIsKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "matrix")
	m := reports()
	for i := len(m) - 1; i >= 0; i-- {
		if err := m[i].save(folder); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadMatrix(folder)
	if err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("read back %+v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "z.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMatrix(folder); err == nil {
		t.Error("a broken report was read")
	}
	if s := m[1].String(); !strings.Contains(s, "2 proven, 1 waived, 0 failed") || !strings.Contains(s, "(but slowly)") {
		t.Errorf("report:\n%s", s)
	}
}
