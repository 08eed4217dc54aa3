package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

func newRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove RELAY",
		Short: "List, and with --confirm delete, what the bridge made for a relay at the brokers",
		Long: `List what the bridge itself made at the brokers for a relay: its tap, its position,
its parked messages. With --confirm delete exactly that; nothing that anybody else
made is touched. A relay of that name then starts anew, wherever its source can.

Relays that the configuration does not have any more can be removed by the name
that crossfade check shows. While a process runs the relay, nothing is removed.

` + exitHelp,
		Args: cobra.ExactArgs(1),
	}
	file := addFile(cmd)
	confirm := cmd.Flags().Bool("confirm", false, "delete what is listed")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := load(cmd, *file)
		if err != nil {
			return err
		}
		all, err := engine.Holdings(cmd.Context(), c)
		if err != nil {
			return failure{err}
		}
		todo := engine.OfRelay(all, args[0])
		out := cmd.OutOrStdout()
		if len(todo) == 0 {
			return nothing(out, c, args[0], all)
		}
		if err := writeHoldings(out, todo); err != nil {
			return failure{err}
		}
		if !*confirm {
			_, err = fmt.Fprintf(out, "\nNothing was deleted. To delete these %d: crossfade remove %s -c %s --confirm\n", len(todo), args[0], *file)
		} else if err = engine.Remove(cmd.Context(), c, args[0]); err == nil {
			_, err = fmt.Fprintf(out, "\nDeleted these %d.\n", len(todo))
		}
		if err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}

// nothing says that there is nothing to remove; it is an error if the name is not
// known at all, which may be a slip.
func nothing(out io.Writer, c *config.Config, relay string, all []engine.SystemHolding) error {
	if c.Relay(relay) != nil {
		_, err := fmt.Fprintf(out, "The bridge has nothing at the brokers for relay %s.\n", relay)
		return err
	}
	names := map[string]bool{}
	for _, h := range all {
		if h.Relay != "" {
			names[h.Relay] = true
		}
	}
	return fmt.Errorf("there is no relay %q: neither in the configuration nor among those that have something at the brokers (%s)", relay, sortedNames(names))
}

func writeHoldings(w io.Writer, todo []engine.SystemHolding) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SYSTEM\tKIND\tNAME\tWHAT") // Flush gives the error
	for _, h := range todo {
		what := h.Text
		if h.Relay == "" {
			what += " (no other relay needs it)"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", h.System, h.Kind, plain(h.Name), plain(what))
	}
	return t.Flush()
}
