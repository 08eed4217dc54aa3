package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

const replayExitHelp = `Exit codes:
  0  the same is found
  1  something else is found, or nothing
  2  wrong usage, or the file is no bundle`

func newReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay BUNDLE",
		Short: "Come to the same verdict from a difference's bundle, without either system",
		Long: `Read the bundle that a difference has left, compare its messages anew, as they were
read and when, and say whether the same is found. Neither system is needed.

With --to the messages that the bundle has of the key are sent to a scratch target, so
that a consumer can be shown what came. ` + targetHelp + `

` + replayExitHelp,
		Args: cobra.ExactArgs(1),
	}
	to := cmd.Flags().String("to", "", "also send the messages of the key to this scratch target, in order")
	side := cmd.Flags().String("side", "incumbent", "with --to: whose messages, incumbent or candidate")
	history := cmd.Flags().Bool("history", false, "print the messages of the key too, as they were read")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		b, err := bundle.Read(args[0])
		if err != nil {
			return err
		}
		var target *config.Config
		if *to != "" {
			if target, err = scratch(*to); err != nil {
				return err
			}
		}
		v, err := bundle.Replay(b)
		if err != nil {
			return err
		}
		if err := writeBundle(cmd.OutOrStdout(), b, *history); err != nil {
			return failure{err}
		}
		if !v.Same {
			return failure{fmt.Errorf("the replay finds %s, and the bundle says %s: this is a mistake of crossfade; please report it, with the bundle", found(&v), plain(b.Kind))}
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "\nreplayed: %s, as then\n", plain(b.Kind)); err != nil {
			return failure{err}
		}
		if target == nil {
			return nil
		}
		n, err := republish(cmd.Context(), b, *side, target)
		if err != nil {
			return failure{err}
		}
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "sent %d messages of the %s to %s\n", n, *side, redacted(*to)); err != nil {
			return failure{err}
		}
		return nil
	}
	return cmd
}

// found is what a replay came to, in words.
func found(v *bundle.Verdict) string {
	words := []string{}
	for _, k := range v.Kinds {
		words = append(words, k.String())
	}
	if v.Found != "" {
		words = append(words, v.Found)
	}
	if len(words) == 0 {
		return "no difference"
	}
	return strings.Join(words, ", ")
}

func writeBundle(w io.Writer, b *bundle.Bundle, history bool) error {
	var errs []error
	line := func(format string, args ...any) {
		for i, a := range args { // whoever wrote the file may have written anything
			if text, is := a.(string); is {
				args[i] = plain(text)
			}
		}
		_, err := fmt.Fprintf(w, format+"\n", args...)
		errs = append(errs, err)
	}
	line("%s of key %s, id %s", b.Kind, b.Key, b.ID)
	line("comparison %s, found %s", b.Comparison, b.At.Format("2006-01-02 15:04:05.000 MST"))
	for _, l := range b.Lines {
		line("  %s", l)
	}
	for _, s := range []struct {
		name string
		side *bundle.Side
	}{{"incumbent", &b.Incumbent}, {"candidate", &b.Candidate}} {
		line("\n%s  %s: %s", s.name, s.side.System, s.side.What)
		if s.side.Frame == nil {
			line("  has no such message")
			continue
		}
		frame(line, s.side.Frame)
	}
	if len(b.Redacted) > 0 {
		line("\nredacted: %s", strings.Join(b.Redacted, ", "))
	}
	if history {
		line("\nmessages of the key, as they were read:")
		for i := range b.History {
			h := &b.History[i]
			line("  %s  %-9s  %s  %s", h.Read.Format("15:04:05.000"), h.Side, h.Message.ID, h.Text)
		}
	}
	return errors.Join(errs...)
}

func frame(line func(string, ...any), f *bundle.Frame) {
	line("  read %s, stored at %s", f.Read.Format("15:04:05.000"), f.Stored)
	for _, h := range f.Message.Headers {
		line("  header %s = %s", string(h.Name), string(h.Value))
	}
	line("  %s", f.Text)
}
