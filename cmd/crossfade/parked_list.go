package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

// A parkedJSON is a parked message as --json prints it. What may hold any octets
// is there as text, with what is none escaped, and the body in base64.
type parkedJSON struct {
	Ref      string     `json:"ref"`
	At       time.Time  `json:"at"`
	Reason   string     `json:"reason"`
	Cause    string     `json:"cause"`
	Key      string     `json:"key"`
	ID       string     `json:"id,omitempty"`
	Space    string     `json:"space,omitempty"`
	Name     string     `json:"name"`
	Origin   string     `json:"origin,omitempty"`
	Time     *time.Time `json:"time,omitempty"`
	Expires  *time.Time `json:"expires,omitempty"`
	Hold     bool       `json:"hold"`
	Retry    bool       `json:"retry"`
	Octets   int        `json:"octets"`
	NullBody bool       `json:"null_body,omitempty"`
	Body     []byte     `json:"body,omitempty"`
}

func newParkedList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list RELAY",
		Short: "List what a relay has parked, oldest first",
		Long: `List what a relay has parked and is not done with, oldest first: why, and what waits
behind it. A message whose reason is "held" was never tried: an earlier one of its
key is parked.

` + exitHelp,
		Args: cobra.ExactArgs(1),
	}
	file := addFile(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON, a line for each")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onParked(cmd, *file, args[0], func(p *parkedRun) error {
			if *asJSON {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetEscapeHTML(false)
				return p.place.Waiting(cmd.Context(), func(m *bridge.Parked) error { return e.Encode(jsonOf(m, false)) })
			}
			all, err := p.all()
			if err != nil {
				return err
			}
			return writeParked(cmd.OutOrStdout(), p.relay.Name, all)
		})
	}
	return cmd
}

func writeParked(w io.Writer, relay string, all []bridge.Parked) error {
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "Relay %s has nothing parked.\n", relay)
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "REF\tAGE\tREASON\tKEY\tOCTETS\tSTATE\tCAUSE") // Flush gives the error
	keys := map[string]bool{}
	for i := range all {
		m := &all[i]
		state := "aside"
		if m.Hold {
			state = "holds its key"
			if m.Reason == bridge.ReasonHeld {
				state = "waits"
			}
			keys[m.Message.Key] = true
		}
		if m.Retry {
			state = "to be sent again"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.Ref, since(m.At), m.Reason,
			bridge.Printable(m.Message.Key, 60), len(m.Message.Body), state, bridge.Printable(m.Cause, 100))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d parked, %d keys held\n", len(all), len(keys))
	return err
}

func newParkedShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show RELAY REF",
		Short: "Show a parked message whole",
		Long: `Show a parked message whole: why it is parked, where it came from, its properties,
headers and body. With --body print the octets of the body and nothing else.

` + exitHelp,
		Args: cobra.ExactArgs(2),
	}
	file := addFile(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	body := cmd.Flags().Bool("body", false, "print the octets of the body only")
	cmd.MarkFlagsMutuallyExclusive("json", "body")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return onParked(cmd, *file, args[0], func(p *parkedRun) error {
			all, err := p.all()
			if err != nil {
				return err
			}
			m, err := find(all, args[1])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case *body:
				_, err = out.Write(m.Message.Body)
			case *asJSON:
				e := json.NewEncoder(out)
				e.SetIndent("", "  ")
				e.SetEscapeHTML(false)
				err = e.Encode(jsonOf(m, true))
			default:
				err = writeMessage(out, m)
			}
			return err
		})
	}
	return cmd
}

func jsonOf(m *bridge.Parked, body bool) *parkedJSON {
	x := &m.Message
	out := &parkedJSON{
		Ref: m.Ref, At: m.At, Reason: string(m.Reason), Cause: m.Cause, Key: bridge.Printable(x.Key, 1<<20),
		ID: x.ID.Text(x.Key), Space: x.Address.Space, Name: bridge.Printable(x.Address.Name, 1<<20),
		Origin: x.Origin.String(), Hold: m.Hold, Retry: m.Retry, Octets: len(x.Body), NullBody: x.Body == nil,
	}
	if !x.Time.IsZero() {
		out.Time = &x.Time
	}
	if !x.Expires.IsZero() {
		out.Expires = &x.Expires
	}
	if body {
		out.Body = x.Body
	}
	return out
}

// writeMessage writes a message for a person.
func writeMessage(w io.Writer, m *bridge.Parked) error {
	x := &m.Message
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { _, _ = fmt.Fprintf(t, "%s\t%s\n", name, value) } // Flush gives the error
	row("ref", m.Ref)
	row("parked", m.At.Format(time.RFC3339)+", "+since(m.At)+" ago")
	row("reason", string(m.Reason))
	row("cause", bridge.Printable(m.Cause, 1000))
	row("key", bridge.Printable(x.Key, 1000))
	if !x.ID.IsZero() {
		row("id", bridge.Printable(x.ID.Value, 1000))
	}
	row("address", bridge.Printable(x.Address.Space, 300)+" / "+bridge.Printable(x.Address.Name, 1000))
	row("origin", x.Origin.String())
	if !x.Time.IsZero() {
		row("time", x.Time.Format(time.RFC3339Nano))
	}
	if !x.Expires.IsZero() {
		row("expires", x.Expires.Format(time.RFC3339Nano))
	}
	for _, p := range x.Properties {
		value := bridge.Printable(p.Text, 1000)
		if p.Kind.Number() {
			value = fmt.Sprint(p.Num)
		}
		if p.Null {
			value = "(null)"
		}
		row("property "+p.Kind.String(), value)
	}
	for i := range x.Headers {
		h := &x.Headers[i]
		row("header "+bridge.Printable(h.Name, 300), bridge.Printable(string(h.Value), 1000)+" (type "+string(h.Type.Letter())+")")
	}
	if x.Body == nil {
		row("body", "(null)")
		return t.Flush()
	}
	row("body", fmt.Sprintf("%d octets", len(x.Body)))
	if err := t.Flush(); err != nil {
		return err
	}
	return writeBody(w, x.Body)
}

// shownBody is how much of a body is shown to a person.
const shownBody = 4096

func writeBody(w io.Writer, body []byte) error {
	shown := body[:min(len(body), shownBody)]
	format := "\n%s\n"
	if !utf8.Valid(shown) {
		format = "\n%q\n"
	}
	if _, err := fmt.Fprintf(w, format, shown); err != nil {
		return err
	}
	if len(body) > len(shown) {
		_, err := fmt.Fprintf(w, "… and %d octets more; --body prints them all\n", len(body)-len(shown))
		return err
	}
	return nil
}
