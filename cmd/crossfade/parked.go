package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/console"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/park"
)

func newParked() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parked",
		Short: "List, show, retry or discard messages that were set aside",
		Long: `Messages that the candidate can never take are set aside at the incumbent, with
the reason and their original octets. With park: hold-key later messages of the same
key wait behind them, in order, until an operator retries or discards them.

These commands read and write the incumbent's journal, whether a bridge runs or not.

` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newParkedList(), newParkedShow(), newParkedRetry(), newParkedDiscard())
	return cmd
}

// A parkedRun is one command on what a relay has parked.
type parkedRun struct {
	cmd    *cobra.Command
	config *config.Config
	relay  *config.Relay
	place  *park.Place
}

// onParked opens the place of a relay for the time of f.
func onParked(cmd *cobra.Command, file, relay string, f func(*parkedRun) error) error {
	c, err := load(cmd, file)
	if err != nil {
		return err
	}
	r, err := relayOf(c, file, relay)
	if err != nil {
		return err
	}
	place := engine.Place(r)
	if place == nil {
		return fmt.Errorf("relay %s parks nothing: it stops at a message that can never be delivered", relay)
	}
	if err := errors.Join(f(&parkedRun{cmd, c, r, place}), place.Close()); err != nil {
		return failure{err}
	}
	return nil
}

// relayOf gives the relay of that name.
func relayOf(c *config.Config, file, relay string) (*config.Relay, error) {
	if r := c.Relay(relay); r != nil {
		return r, nil
	}
	names := map[string]bool{}
	for _, r := range c.Relays {
		names[r.Name] = true
	}
	return nil, fmt.Errorf("%s has no relay %q; its relays are %s", file, relay, sortedNames(names))
}

func sortedNames(names map[string]bool) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// all reads what is parked, oldest first.
func (p *parkedRun) all() (out []bridge.Parked, err error) {
	err = p.place.Waiting(p.cmd.Context(), func(m *bridge.Parked) error {
		out = append(out, *m)
		return nil
	})
	return out, err
}

// A selection says which of the parked messages a command is about.
type selection struct {
	key   *string
	every *bool
}

func (s *selection) addFlags(cmd *cobra.Command) {
	s.key = cmd.Flags().String("key", "", "all messages of this key")
	s.every = cmd.Flags().Bool("all", false, "all messages of the relay")
}

// of gives those that refs, or the flags, name. A beginning of a ref is enough
// where no other begins with it.
func (s *selection) of(cmd *cobra.Command, refs []string, all []bridge.Parked) (out []bridge.Parked, err error) {
	byKey := cmd.Flags().Changed("key")
	if n := len(refs); (n > 0 && (byKey || *s.every)) || (byKey && *s.every) || (n == 0 && !byKey && !*s.every) {
		return nil, errors.New("say which: the REFs that crossfade parked list shows, or --key KEY, or --all")
	}
	for _, m := range all {
		if *s.every || byKey && m.Message.Key == *s.key {
			out = append(out, m)
		}
	}
	for _, ref := range refs {
		m, err := find(all, ref)
		if err != nil {
			return nil, err
		}
		out = append(out, *m)
	}
	return out, nil
}

func find(all []bridge.Parked, ref string) (*bridge.Parked, error) {
	var found *bridge.Parked
	for i := range all {
		m := &all[i]
		if m.Ref == ref {
			return m, nil
		}
		if strings.HasPrefix(m.Ref, ref) {
			if found != nil {
				return nil, fmt.Errorf("%q begins more than one REF: %s, %s", ref, found.Ref, m.Ref)
			}
			found = m
		}
	}
	if found == nil {
		return nil, fmt.Errorf("nothing is parked as %q; crossfade parked list shows what is", ref)
	}
	return found, nil
}

func newParkedRetry() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "retry RELAY [REF…]",
		Short: "Send parked messages again; those of a held key all, in order",
		Long: `Ask for parked messages to be sent again, once their cause is mended. Of a held key
all are sent, in order, before its live messages go on; what is refused again stays
parked, and what follows it too. With park: skip a message is sent out of order.

A running bridge begins at once; otherwise the next one does when it starts.

` + exitHelp,
		Args: cobra.MinimumNArgs(1),
	}
	file := addFile(cmd)
	var which selection
	which.addFlags(cmd)
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onParked(cmd, *file, args[0], func(p *parkedRun) error {
			all, err := p.all()
			if err != nil {
				return err
			}
			chosen, err := which.of(cmd, args[1:], all)
			if err != nil {
				return err
			}
			if err := p.place.Retry(cmd.Context(), refsOf(chosen)); err != nil {
				return err
			}
			return p.told(fmt.Sprintf("%d messages of relay %s will be sent again%s", len(chosen), p.relay.Name, p.behind(chosen, all)), len(chosen))
		})
	}
	return cmd
}

// behind counts what is sent with the chosen ones because it waits behind them.
func (p *parkedRun) behind(chosen, all []bridge.Parked) string {
	keys, n := map[string]bool{}, -len(chosen)
	for _, m := range chosen {
		if m.Hold {
			keys[m.Message.Key] = true
		} else {
			n++
		}
	}
	for _, m := range all {
		if m.Hold && keys[m.Message.Key] {
			n++
		}
	}
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more of their keys", n)
}

func newParkedDiscard() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "discard RELAY [REF…]",
		Short: "Give parked messages up for good",
		Long: `Give parked messages up: they never reach the candidate. When nothing of a held key
is left its live messages go on. Without --confirm the command only says what it
would do.

` + exitHelp,
		Args: cobra.MinimumNArgs(1),
	}
	file := addFile(cmd)
	var which selection
	which.addFlags(cmd)
	confirm := cmd.Flags().Bool("confirm", false, "do it")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onParked(cmd, *file, args[0], func(p *parkedRun) error {
			all, err := p.all()
			if err != nil {
				return err
			}
			chosen, err := which.of(cmd, args[1:], all)
			if err != nil {
				return err
			}
			if !*confirm {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d messages of relay %s would be discarded for good; with --confirm they are.\n", len(chosen), p.relay.Name)
				return err
			}
			if err := p.place.Discard(cmd.Context(), refsOf(chosen)); err != nil {
				return err
			}
			return p.told(fmt.Sprintf("%d messages of relay %s are discarded", len(chosen), p.relay.Name), len(chosen))
		})
	}
	return cmd
}

func refsOf(ms []bridge.Parked) (refs []string) {
	for i := range ms {
		refs = append(refs, ms[i].Ref)
	}
	return refs
}

// told says what was done, and tells a bridge that runs.
func (p *parkedRun) told(what string, n int) error {
	if n == 0 {
		_, err := fmt.Fprintln(p.cmd.OutOrStdout(), "Nothing is parked that fits.")
		return err
	}
	_, err := fmt.Fprintf(p.cmd.OutOrStdout(), "%s; %s.\n", what, tell(p.cmd, p.config, p.relay.Name))
	return err
}

// tell has a running bridge look at what was changed, and says who sees it when.
func tell(cmd *cobra.Command, c *config.Config, relay string) string {
	at := c.HTTP.Listen
	if at == "off" || strings.HasSuffix(at, ":0") {
		return "the bridge sees it when it starts"
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), statusPatience)
	defer cancel()
	if err := console.Look(ctx, at, relay); err != nil {
		return "no bridge answers at " + at + ", so it sees it when it starts"
	}
	return "the bridge at " + at + " looks at it now"
}

// since is how long ago something was, for a table.
func since(t time.Time) string { return time.Since(t).Round(time.Second).String() }
