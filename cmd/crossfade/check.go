package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look before data moves: connections, permissions, limits, topology, what cannot be carried",
		Long: `Connect to every system of a configuration and report what passes, what is worth
knowing and what fails, with what to do; then, for each relay, what a consumer at
the candidate will see of what the incumbent's messages hold, the worst first.
Nothing is created, moved or changed.

` + exitHelp,
		Args: cobra.NoArgs,
	}
	file := addFile(cmd)
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load(cmd, *file)
		if err != nil {
			return err
		}
		findings := engine.Check(cmd.Context(), c)
		counts, err := writeFindings(cmd.OutOrStdout(), findings)
		if err != nil {
			return failure{err}
		}
		if err := writeFidelities(cmd.OutOrStdout(), engine.Fidelities(c)); err != nil {
			return failure{err}
		}
		if counts[bridge.Fail] > 0 {
			return failure{errors.Join(errReported, errors.New("check failed"))}
		}
		return nil
	}
	return cmd
}

// writeFindings writes a table and the sum of each level.
func writeFindings(w io.Writer, findings []engine.RelayFinding) (map[bridge.Level]int, error) {
	counts := map[bridge.Level]int{}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "LEVEL\tRELAY\tSIDE\tSUBJECT\tFINDING") // Flush gives the error
	for _, f := range findings {
		level := f.Level.String()
		if f.Note {
			level = "note"
		} else {
			counts[f.Level]++
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", level, f.Relay, f.Side, plain(f.Subject), plain(f.Text))
		if f.Hint != "" && f.Level != bridge.Pass {
			_, _ = fmt.Fprintf(t, "\t\t\t\t→ %s\n", plain(f.Hint))
		}
	}
	_, _ = fmt.Fprintf(t, "\n%d pass, %d warn, %d fail\n", counts[bridge.Pass], counts[bridge.Warn], counts[bridge.Fail])
	return counts, t.Flush()
}

// plain keeps a text from a broker on one line of the table.
func plain(s string) string {
	return strings.ReplaceAll(bridge.Printable(s, 500), `\x22`, `"`)
}
