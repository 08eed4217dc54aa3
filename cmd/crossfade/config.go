package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Work with configurations", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(newConfigPrint())
	return cmd
}

func newConfigPrint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Check a configuration without connecting, and print it with its defaults and without its secrets",
		Long:  "Check a configuration without connecting, and print what is in effect: the file, its\ndefaults, the environment and flags. Secrets are hidden.\n\n" + exitHelp,
		Args:  cobra.NoArgs,
	}
	file := addFile(cmd)
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load(cmd, *file)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprint(cmd.OutOrStdout(), c.String()); err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}
