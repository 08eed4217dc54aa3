// Command crossfade runs between an incumbent message queue and its candidates.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitOK      = 0 // done as asked
	exitFailure = 1 // a relay or a check failed, or the bridge does not get on
	exitUsage   = 2 // wrong usage or configuration; nothing was started
)

const exitHelp = `Exit codes:
  0  done as asked
  1  a relay failed, a check failed, or the bridge does not answer or get on
  2  wrong usage or configuration; nothing was started
  130, 143  ended at once by a second SIGINT, SIGTERM; nothing is lost`

func main() {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, stop)
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// obey stops in an orderly way at the first signal and ends the process at the
// second. It does so itself: what the system does by default may have been set to
// nothing by whoever started the process, as a shell does in the background.
func obey(signals <-chan os.Signal, stop func()) {
	<-signals
	stop()
	code := exitFailure
	if s, ok := (<-signals).(syscall.Signal); ok {
		code = 128 + int(s)
	}
	os.Exit(code)
}

// A failure is an error of something that was begun; every other error is one of
// usage or configuration. A failure without cause has been reported.
type failure struct{ cause error }

func (f failure) Error() string { return f.cause.Error() }
func (f failure) Unwrap() error { return f.cause }

var errReported = errors.New("reported")

// execute runs one command and gives its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errReported) {
		_, _ = fmt.Fprintf(stderr, "%v\n", explain(err)) // there is nowhere else to say it
	}
	var f failure
	if errors.As(err, &f) {
		return exitFailure
	}
	return exitUsage
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "crossfade",
		Short: "Carry messages from the queue of today to the one of tomorrow, in order, and prove it",
		Long: `Crossfade runs between an incumbent message queue and its candidates while a
team migrates: it copies live traffic without disturbing either side, keeps each
key's messages in order and every message's ID, and resumes after any crash.

` + exitHelp,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newRun(), newCheck(), newPlan(), newInit(), newStatus(), newCompare(), newReplay(), newParked(), newPause(), newResume(), newRemove(), newConfig(), newDemo(), newVersion())
	return root
}
