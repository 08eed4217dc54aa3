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
	"github.com/crossfade-mq/crossfade/bridge/plan"
)

func newPlan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [RELAY…]",
		Short: "Say what the candidates need, and with --apply make what is missing",
		Long: `Read the incumbents of relays, all or those that are named, and print what their
candidates need: the objects and their settings, the settings of the incumbent that
have no counterpart there, and the routes that nothing matches. Nothing is changed.

With --apply, make at the candidates what is missing. What is there already stays as
it is, and nothing is ever deleted. What is made is yours: crossfade remove does not
touch it.

Exit code 1 also means that something is missing and was not made.

` + exitHelp,
	}
	file := addFile(cmd)
	apply := cmd.Flags().Bool("apply", false, "make what is missing at the candidates")
	config.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := load(cmd, *file)
		if err != nil {
			return err
		}
		relays, err := engine.Chosen(c, args)
		if err != nil {
			return fmt.Errorf("%s: %w", *file, err)
		}
		return planned(cmd, c, relays, *file, *apply)
	}
	return cmd
}

// planned prints the plan, and carries it out if it is told to.
func planned(cmd *cobra.Command, c *config.Config, relays []*config.Relay, file string, apply bool) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	p, err := engine.Plan(ctx, c, relays)
	if err == nil {
		err = writePlan(out, p)
	}
	switch {
	case err != nil:
		return failure{err}
	case p.Missing() == 0 && !apply:
		_, err = fmt.Fprintln(out, "\n"+complete(p))
	case !apply:
		_, err = fmt.Fprintf(out, "\nNothing was made. To make what is missing (%d): crossfade plan %s-c %s --apply\n", p.Missing(), strings.Join(append(names(relays, c), ""), " "), file)
		err = errors.Join(err, errReported, errors.New("something is missing"))
	default:
		err = applied(cmd, c, relays, p)
	}
	if err != nil {
		return failure{err}
	}
	return nil
}

// complete says that nothing is missing, and what it does not mean.
func complete(p *plan.Plan) string {
	if n := len(p.Routes); n > 0 {
		return fmt.Sprintf("Nothing is missing. What does not arrive all the same stands above (%d).", n)
	}
	return "Nothing is missing."
}

// names are those of relays that are not all of them.
func names(relays []*config.Relay, c *config.Config) (out []string) {
	if len(relays) < len(c.Relays) {
		for _, r := range relays {
			out = append(out, r.Name)
		}
	}
	return out
}

// applied makes what is missing and looks again.
func applied(cmd *cobra.Command, c *config.Config, relays []*config.Relay, p *plan.Plan) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	before := p.Missing()
	if err := engine.Apply(ctx, c, p); err != nil {
		return fmt.Errorf("%w\nWhat was made until then stays; crossfade plan says what is still missing", err)
	}
	p, err := engine.Plan(ctx, c, relays)
	if err != nil {
		return err
	}
	if n := p.Missing(); n > 0 {
		return fmt.Errorf("%d objects are still missing, though nothing failed; crossfade plan lists them", n)
	}
	if before == 0 {
		_, err = fmt.Fprintln(out, "\n"+complete(p))
		return err
	}
	_, err = fmt.Fprintf(out, "\nMade what was missing (%d). It is yours: crossfade remove does not touch it.\n", before)
	return err
}

// writePlan prints a plan as tables, the settings of an object below it.
func writePlan(w io.Writer, p *plan.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "STATE\tSYSTEM\tKIND\tNAME\tWITH") // Flush gives the error
	for i := range p.Steps {
		writeStep(t, &p.Steps[i])
	}
	if err := t.Flush(); err != nil {
		return err
	}
	sections := []struct {
		title string
		lines func(*tabwriter.Writer)
		n     int
	}{
		{"No counterpart at the candidate:", func(t *tabwriter.Writer) {
			for _, l := range p.Lost {
				_, _ = fmt.Fprintf(t, "  %s\t%s\t%s\n", l.Relay, plain(l.Object), plain(l.Setting))
				sentence(t, "\t", l.Text)
			}
		}, len(p.Lost)},
		{"Routes that do not arrive:", func(t *tabwriter.Writer) {
			for _, r := range p.Routes {
				_, _ = fmt.Fprintf(t, "  %s\t%s\n", r.Relay, plain(r.Route))
				sentence(t, "\t", r.Text)
			}
		}, len(p.Routes)},
		{"Not known:", func(t *tabwriter.Writer) {
			for _, u := range p.Unseen {
				_, _ = fmt.Fprintf(t, "  %s\n", u.System)
				sentence(t, "    ", u.Text)
			}
		}, len(p.Unseen)},
	}
	for _, s := range sections {
		if s.n == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "\n%s\n", s.title); err != nil {
			return err
		}
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		s.lines(t)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func writeStep(w io.Writer, s *plan.Step) {
	o := &s.Object
	name := o.Name
	if o.Role == bridge.RoleBinding || o.Role == bridge.RoleReader {
		name = o.From + " → " + o.Name
	}
	with := withWords(s)
	if len(with) == 0 {
		with = []string{""}
	}
	_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.State, s.System, o.Kind, plain(name), plain(with[0]))
	for _, more := range with[1:] {
		_, _ = fmt.Fprintf(w, "\t\t\t\t%s\n", plain(more))
	}
	if s.Text != "" {
		sentence(w, "\t\t\t\t", s.Text)
	}
}

// sentenceWidth is how wide a sentence is below a row.
const sentenceWidth = 88

// sentence writes a sentence below a row, in lines that a terminal shows whole.
func sentence(w io.Writer, indent, text string) {
	line, begin := "", "→ "
	end := func() {
		_, _ = fmt.Fprintf(w, "%s%s%s\n", indent, begin, line) // Flush gives the error
		line, begin = "", "  "
	}
	for _, word := range strings.Fields(plain(text)) {
		if line != "" && len(line)+len(word) >= sentenceWidth {
			end()
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	end()
}

// withWords are the settings of a step, in few lines.
func withWords(s *plan.Step) (out []string) {
	if takes := s.Takes(); takes != "" {
		out = append(out, takes)
	}
	var settings []string
	for _, x := range s.Object.Settings {
		settings = append(settings, plan.Text(x))
	}
	if len(settings) > 0 {
		out = append(out, strings.Join(settings, ", "))
	}
	if s.For != "" {
		out = append(out, "for "+s.For)
	}
	return out
}
