package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

func newPause() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause RELAY",
		Short: "Let one relay stand still until it is resumed",
		Long: `Let one relay stand still: what is in flight is settled, both its sessions end, and
nothing of it is connected until it is resumed, whatever happens to the bridge. The
other relays go on. Its tap and its position stay, so the tap gathers what comes
meanwhile, within its bounds.

The word is noted at the incumbent. A running bridge obeys at once; one that cannot
be told does at the relay's next session, or when it starts.

` + exitHelp,
		Args: cobra.ExactArgs(1),
	}
	file := addFile(cmd)
	why := cmd.Flags().String("why", "", "what the status shows as the reason")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return setPaused(cmd, *file, args[0], true, *why) }
	return cmd
}

func newResume() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume RELAY",
		Short: "Let a paused relay go on where it stood",
		Long: `Let a paused relay go on where it stood. A running bridge begins at once; one that
cannot be told sees it within a minute, or when it starts.

` + exitHelp,
		Args: cobra.ExactArgs(1),
	}
	file := addFile(cmd)
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return setPaused(cmd, *file, args[0], false, "") }
	return cmd
}

// setPaused notes an operator's word, unless it is the last one already, and tells a
// bridge that runs either way.
func setPaused(cmd *cobra.Command, file, relay string, on bool, why string) error {
	c, err := load(cmd, file)
	if err != nil {
		return err
	}
	r, err := relayOf(c, file, relay)
	if err != nil {
		return err
	}
	was, err := engine.Paused(cmd.Context(), r)
	if err == nil && (was.On != on || why != "" && why != was.Why) {
		err = engine.SetPaused(cmd.Context(), r, on, why)
	}
	if err != nil {
		return failure{fmt.Errorf("relay %s: %w", relay, err)}
	}
	what := "relay " + relay + " is paused"
	switch {
	case on && was.On:
		what += ", since " + was.Since.Format(time.RFC3339)
	case !on && !was.On:
		what = "relay " + relay + " was not paused"
	case !on:
		what = "relay " + relay + " goes on"
	}
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s; %s.\n", what, tell(cmd, c, relay)); err != nil {
		return failure{err}
	}
	return nil
}
