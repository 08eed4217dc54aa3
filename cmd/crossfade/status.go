package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/console"
)

// statusPatience is how long a bridge may take to answer.
const statusPatience = 5 * time.Second

func newStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running bridge is doing, and why it waits",
		Long: `Ask a running bridge, and show a line for each relay that ends with its state and
why it is in it. The exit code is 1 if no bridge answers, or if a relay failed,
has stopped or makes no progress although something waits.

` + exitHelp,
		Args: cobra.NoArgs,
	}
	file := cmd.Flags().StringP("config", "c", "", "take the address from this configuration")
	address := cmd.Flags().String("addr", "", "the console's address (default \"127.0.0.1:7117\")")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("config", "addr")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		at, err := consoleAddress(*file, *address)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), statusPatience)
		defer cancel()
		s, err := console.Fetch(ctx, at)
		if err != nil {
			return failure{fmt.Errorf("%w\nIs the bridge running, and is %s its http.listen?", err, at)}
		}
		return show(cmd, s, *asJSON)
	}
	return cmd
}

func consoleAddress(file, address string) (string, error) {
	if address != "" {
		return address, nil
	}
	if file == "" {
		return "127.0.0.1:7117", nil
	}
	at, err := config.ListenAddress(file, nil)
	switch {
	case err != nil:
		return "", err
	case at == "off":
		return "", fmt.Errorf("%s: http.listen is off, so there is nobody to ask", file)
	case strings.HasSuffix(at, ":0"):
		return "", fmt.Errorf("%s: http.listen leaves the port open; name it with --addr, the log says it", file)
	}
	return at, nil
}

func show(cmd *cobra.Command, s *console.Status, asJSON bool) error {
	out := cmd.OutOrStdout()
	var err error
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(s)
	} else {
		err = console.WriteText(out, s)
	}
	if err != nil {
		return failure{err}
	}
	if !s.Ready {
		return failure{errors.Join(errReported, errors.New("not ready"))}
	}
	return nil
}
