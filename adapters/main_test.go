package adapters_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain finds goroutines that are left. A broker that was started for this process is
// waited for until it ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/crossfade-mq/crossfade/e2e/brokers.(*Server).Start.func1"))
}
