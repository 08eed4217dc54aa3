package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// version is set at the link of a release: -ldflags "-X main.version=v1.2.3".
var version = ""

// build says which build this is, from the linker and from what Go notes.
func build() telemetry.Build {
	b := telemetry.Build{Version: version, Revision: "unknown", Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" && info.Main.Version != "" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				b.Revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				b.Revision += "+modified"
			}
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	return b
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "crossfade %s (%s, %s, %s/%s)\n", b.Version, b.Revision, b.Go, runtime.GOOS, runtime.GOARCH); err != nil {
				return failure{err}
			}
			return nil
		},
	}
}
