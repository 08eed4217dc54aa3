package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// addFile adds the flag that names the configuration.
func addFile(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", "crossfade.yaml", "the configuration")
}

func load(cmd *cobra.Command, path string) (*config.Config, error) {
	return config.Load(path, config.Options{Adapters: adapters.Table(), Flags: cmd.Flags()})
}

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the relays of a configuration until a signal",
		Long: `Run the relays of a configuration. The first SIGINT or SIGTERM stops receiving
and lets what is in flight finish; the second ends the process at once, which
loses nothing either.

A relay that nothing can mend stops, and the others go on; the process then ends
with exit code 1 when it is stopped, or when no relay is left.

` + exitHelp,
		Args: cobra.NoArgs,
	}
	file := addFile(cmd)
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return run(cmd, *file) }
	return cmd
}

func run(cmd *cobra.Command, file string) error {
	c, err := load(cmd, file)
	if err != nil {
		return err
	}
	log := newLog(cmd.ErrOrStderr(), c.Log)
	e, err := engine.New(c, engine.Options{Log: log, Build: build()})
	if err != nil {
		return err
	}
	ctx, said := cmd.Context(), make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		log.Info("stopping: what is in flight finishes; a second signal ends the process at once")
		close(said)
	})
	log.Info("crossfade", "version", build().Version, "bridge", c.Name, "config", file)
	err = e.Run(ctx)
	if !unhook() { // so that the log has the beginning of the end before the end
		<-said
	}
	if err != nil {
		log.Error("ended with a failure", "cause", err.Error(), "hint", bridge.HintOf(err))
		return failure{errors.Join(errReported, err)}
	}
	log.Info("ended")
	return nil
}
