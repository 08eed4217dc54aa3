package main

import (
	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/cmd/crossfade/demo"
)

func newDemo() *cobra.Command {
	var o demo.Options
	var level string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See a live migration: NATS servers, a producer, relays, a healthy and a faulty candidate and their comparison, all in this process",
		Long: `See a live migration on this machine, with everything in this process: an incumbent
and a candidate NATS server with JetStream on disk in a temporary folder, a bursty
producer of telemetry, a relay between them, and a reader of the candidate that
counts losses, duplicates and reorderings by itself. A second candidate stands behind
something that loses, repeats, reorders and alters messages on purpose. Both are
compared with the incumbent, message by message.

It runs until a signal, or for --for, and then prints a summary. The exit code is
0 only if nothing was lost, duplicated or reordered on the way to the first candidate,
its comparison found nothing, and that of the second found just what was done.

` + exitHelp,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", 0, "how long the producer runs; 0 is until a signal")
	f.IntVar(&o.Metrics, "metrics", 0, "how many metrics there are (default 5000)")
	f.IntVar(&o.Rate, "rate", 0, "samples a second, on average (default 10000)")
	f.Uint64Var(&o.Seed, "seed", 0, "of the producer's choices; 0 takes one from the clock")
	f.StringVar(&o.Listen, "http-listen", "", "address of the console, or off (default \"127.0.0.1:7117\")")
	f.StringVar(&level, "log-level", "warn", "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		o.Terminal = isTerminal(out)
		o.Log = newLog(cmd.ErrOrStderr(), config.Log{Level: level, Format: "text"})
		if err := demo.Run(cmd.Context(), out, o); err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}
