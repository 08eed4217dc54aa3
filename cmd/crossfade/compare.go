package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/report"
)

const compareExitHelp = `Exit codes:
  0  everything that was judged is the same on both sides
  1  something differs
  2  something, or everything, could not be judged; or wrong usage or an error
  130, 143  ended at once by a second SIGINT, SIGTERM`

type compareFlags struct {
	file, incumbent, candidate      string
	key, id, ignore                 string
	from, until, evidence, logLevel string
	duration, settle, grace         time.Duration
	outputs                         []string
	addressed, json, quiet          bool
	errs                            io.Writer
	terminal                        bool
	began                           time.Time
}

func newCompare() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare [NAME]",
		Short: "Compare two live streams message by message, in order, and say in what they differ",
		Long: `Read two streams of any systems, each by a subscription of its own that takes nothing
away from anybody, and compare them message by message, in the order of each key. NAME is
a comparison of the configuration; or name both streams by their addresses.

It runs until a signal, or for --for, or until --until, and prints a report then. A
difference is logged when it is found; with --evidence each leaves a file that crossfade
replay comes to the same verdict from. The subscriptions are removed at the end.

` + addressHelp + `

` + compareExitHelp,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "config", "c", "", "the configuration with the comparison NAME, or its only one (default \"crossfade.yaml\")")
	flags.StringVar(&f.incumbent, "incumbent", "", "address of the incumbent's stream")
	flags.StringVar(&f.candidate, "candidate", "", "address of the candidate's stream")
	flags.StringVar(&f.key, "key", "", "where the ordering key is found, as in a relay: address, header:NAME, json:PATH, token:N")
	flags.StringVar(&f.id, "id", "", "where the dedup ID is found, as in a relay: message-id, origin, content, header:NAME, json:PATH")
	flags.StringVar(&f.ignore, "ignore", "address,time", "of two addresses: parts that are not compared: address, time, headers, properties, header:NAME, property:NAME, or none")
	flags.StringVar(&f.from, "from", "", "where both begin: now, first, or a time such as 2026-01-31T14:00:00Z (default as the configuration says, else now)")
	flags.StringVar(&f.until, "until", "", "when to end: a time such as 2026-01-31T14:00:00Z")
	flags.DurationVar(&f.duration, "for", 0, "how long to compare; 0 is until a signal")
	flags.DurationVar(&f.settle, "settle", 0, "how long to wait at the end for what is still pending (default twice the grace)")
	flags.DurationVar(&f.grace, "grace", 0, "how long a message that was passed by may still come (default as the configuration says, else 5s)")
	flags.StringVar(&f.evidence, "evidence", "", "the folder in which differences leave their bundles")
	flags.StringArrayVarP(&f.outputs, "out", "o", nil, "also write the report to this file: .txt, .json or .html")
	flags.BoolVar(&f.json, "json", false, "print the report as JSON")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress line")
	flags.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn or error")
	cmd.MarkFlagsMutuallyExclusive("until", "for")
	cmd.MarkFlagsMutuallyExclusive("config", "incumbent")
	cmd.MarkFlagsMutuallyExclusive("config", "candidate")
	cmd.MarkFlagsRequiredTogether("incumbent", "candidate")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) }
	return cmd
}

func (f *compareFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(cmd, args); err != nil {
		return err
	}
	c, x, err := f.load(args)
	if err != nil {
		return err
	}
	if err := f.reserve(); err != nil {
		return err
	}
	f.errs, f.terminal, f.began = cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()), time.Now()
	log := f.errs
	if f.terminal && !f.quiet {
		log = overProgress{f.errs}
	}
	var found struct {
		sync.Mutex
		list []told
	}
	p, err := engine.Compare(c, x, engine.CompareOptions{
		Log: newLog(log, config.Log{Level: f.logLevel, Format: "text"}), Build: build(), End: f.end(f.began), Settle: f.settle, Whole: f.from != "" && f.from != "now",
		Told: func(b *bundle.Bundle, path string) {
			found.Lock()
			defer found.Unlock()
			if len(found.list) < report.MostFindings {
				found.list = append(found.list, told{b, path})
			}
		},
	})
	if err != nil {
		return err
	}
	err = f.watch(cmd.Context(), p)
	s := p.Reading()
	r := report.Of(&s, p.Coverage(), f.began, time.Now())
	r.Build = build().Version
	found.Lock()
	defer found.Unlock()
	for _, t := range found.list {
		r.Add(t.bundle, t.path)
	}
	switch finished := f.finish(cmd, c, x, r, err); {
	case finished == nil:
		return verdictOf(s.Verdict)
	case err == nil && s.Verdict == compare.Drift: // which is not hidden by what failed at the end
		return failure{finished}
	default:
		return finished
	}
}

type told struct {
	bundle *bundle.Bundle
	path   string
}

// verdictOf makes the exit code of a verdict.
func verdictOf(v compare.Verdict) error {
	switch v {
	case compare.Match:
		return nil
	case compare.Drift:
		return failure{errReported}
	}
	return errReported
}

// finish removes what the comparison made, and writes the report.
func (f *compareFlags) finish(cmd *cobra.Command, c *config.Config, x *config.Comparison, r *report.Report, failed error) error {
	removed := f.remove(cmd.Context(), c, x)
	if failed != nil {
		return errors.Join(failed, removed)
	}
	write := r.WriteText
	if f.json {
		write = r.WriteJSON
	}
	errs := []error{removed, write(cmd.OutOrStdout())}
	for _, path := range f.outputs {
		errs = append(errs, writeReport(r, path))
	}
	return errors.Join(errs...)
}

// removal bounds removing what the comparison made at one system.
const removal = 10 * time.Second

// remove removes what the comparison made, at each system by itself: what one holds need
// not stay because another does not answer. Not at once, since two may be one server, at
// which the last one removes what both shared.
func (f *compareFlags) remove(ctx context.Context, c *config.Config, x *config.Comparison) error {
	var errs []error
	failed := map[string]bool{}
	for i, end := range x.Ends() {
		if failed[end.System] {
			continue
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removal)
		only, reader := *c, x.Readers()[i]
		only.Systems = []*config.System{c.System(end.System)}
		if err := engine.Remove(ctx, &only, reader); err != nil {
			failed[end.System] = true
			errs = append(errs, fmt.Errorf("what the comparison made may be left: %w%s", err, f.leftover(reader)))
		}
		cancel()
	}
	return errors.Join(errs...)
}

// leftover says how a reader of a configuration is removed later. Those of addresses have
// no configuration to be removed by.
func (f *compareFlags) leftover(reader string) string {
	if f.file == "" {
		return ""
	}
	return fmt.Sprintf("; once it answers: crossfade remove %s -c %s --confirm", reader, f.file)
}

func writerOf(path string) func(*report.Report, io.Writer) error {
	switch filepath.Ext(path) {
	case ".txt":
		return (*report.Report).WriteText
	case ".json":
		return (*report.Report).WriteJSON
	case ".html":
		return (*report.Report).WriteHTML
	}
	return nil
}

func writeReport(r *report.Report, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if err := errors.Join(writerOf(path)(r, file), file.Close()); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// check looks at what is typed, as far as it can be told from the flags alone.
func (f *compareFlags) check(cmd *cobra.Command, args []string) error {
	for _, path := range f.outputs {
		if writerOf(path) == nil {
			return fmt.Errorf("--out: %s: want a file that ends in .txt, .json or .html", path)
		}
	}
	for _, d := range []struct {
		name string
		is   time.Duration
	}{{"for", f.duration}, {"settle", f.settle}, {"grace", f.grace}} {
		if d.is < 0 {
			return fmt.Errorf("--%s: a duration is not negative", d.name)
		}
	}
	if _, err := time.Parse(time.RFC3339, f.until); f.until != "" && err != nil {
		return fmt.Errorf("--until: %q: want a time such as 2026-01-31T14:00:00Z", f.until)
	}
	if err := new(bridge.Start).UnmarshalText([]byte(f.from)); err != nil {
		return fmt.Errorf("--from: %q: %w", bridge.Printable(f.from, 64), err)
	}
	if _, ok := levels[f.logLevel]; !ok {
		return fmt.Errorf("--log-level: %q is none of debug, info, warn, error", bridge.Printable(f.logLevel, 64))
	}
	f.addressed = cmd.Flags().Changed("incumbent")
	if f.addressed && len(args) > 0 {
		return fmt.Errorf("%q is a comparison of a configuration, and --incumbent and --candidate name both streams: give one of the two", bridge.Printable(args[0], 64))
	}
	for _, name := range []string{"key", "id", "ignore"} {
		if !f.addressed && cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s goes with --incumbent and --candidate; a comparison of a configuration says its own", name)
		}
	}
	return nil
}

// reserve makes sure that what is to be written at the end can be: a comparison may take
// long.
func (f *compareFlags) reserve() error {
	for _, path := range f.outputs {
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		_ = file.Close() // nothing was written
	}
	if f.evidence != "" {
		if err := os.MkdirAll(f.evidence, 0o700); err != nil {
			return fmt.Errorf("--evidence: %w", err)
		}
	}
	return nil
}

// end is when the comparison ends; zero is never. One that was to end in the past compares
// what is stored by now.
func (f *compareFlags) end(now time.Time) time.Time {
	switch at, err := time.Parse(time.RFC3339, f.until); {
	case f.duration > 0:
		return now.Add(f.duration)
	case err != nil:
		return time.Time{}
	case at.Before(now):
		return now
	default:
		return at
	}
}

// load gives the configuration, and the comparison of it.
func (f *compareFlags) load(args []string) (*config.Config, *config.Comparison, error) {
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // it does not fail
	o := config.Options{Adapters: adapters.Table(), Suffix: "-" + hex.EncodeToString(suffix), From: f.from}
	var c *config.Config
	var err error
	if f.addressed {
		c, err = f.written(o)
	} else {
		named := f.file != ""
		if !named {
			f.file = "crossfade.yaml"
		}
		c, err = config.Load(f.file, o)
		if errors.Is(err, os.ErrNotExist) && !named {
			err = fmt.Errorf("%w: name a configuration with --config, or both streams with --incumbent and --candidate", err)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	x, err := chosen(c, args)
	if err != nil {
		return nil, nil, err
	}
	if f.grace > 0 {
		x.Grace = f.grace
	}
	if f.evidence != "" {
		x.Evidence.Dir = f.evidence
	}
	return c, x, nil
}

func chosen(c *config.Config, args []string) (*config.Comparison, error) {
	var names []string
	for _, x := range c.Comparisons {
		names = append(names, x.Name)
	}
	switch {
	case len(args) == 1 && c.Comparison(args[0]) != nil:
		return c.Comparison(args[0]), nil
	case len(names) == 0:
		return nil, errors.New("the configuration has no comparisons: write one under comparisons, or name both streams with --incumbent and --candidate")
	case len(args) == 1:
		return nil, fmt.Errorf("there is no comparison %q; there is %s", bridge.Printable(args[0], 64), strings.Join(names, ", "))
	case len(names) > 1:
		return nil, fmt.Errorf("which comparison? There is %s", strings.Join(names, ", "))
	}
	return c.Comparisons[0], nil
}

// written makes a configuration of two addresses.
func (f *compareFlags) written(o config.Options) (*config.Config, error) {
	secrets := &origin{secrets: map[string]string{}}
	o.Environment = secrets.environment
	var text strings.Builder
	text.WriteString("name: compare\nsystems:\n")
	var blocks strings.Builder
	for _, side := range []struct{ name, address string }{{"incumbent", f.incumbent}, {"candidate", f.candidate}} {
		s, err := streamOf(side.name, side.name, side.address, secrets)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&text, "  - name: %s\n    kind: %s\n    %s\n", side.name, s.system.Kind, strings.Join(s.system.Settings, "\n    "))
		fmt.Fprintf(&blocks, "    %s:\n      system: %s\n      %s\n", side.name, side.name, strings.Join(s.block, "\n      "))
	}
	text.WriteString("comparisons:\n  - name: streams\n" + blocks.String())
	if f.ignore != "" && f.ignore != "none" {
		fmt.Fprintf(&text, "    ignore: %s\n", yamlList(f.ignore))
	}
	for _, part := range []struct{ name, value string }{{"key", f.key}, {"id", f.id}} {
		if part.value == "" {
			continue
		}
		place, of, is := strings.Cut(part.value, ":")
		switch {
		case !is:
			place, of = "from", yamlText(part.value)
		case of == "":
			return nil, fmt.Errorf("--%s: %s: a name, a path or a number is missing behind the colon", part.name, part.value)
		case place != "token":
			of = yamlText(of)
		case strings.Trim(of, "0123456789") != "":
			return nil, fmt.Errorf("--%s: %s: want a number, which part of the address it is", part.name, part.value)
		}
		fmt.Fprintf(&text, "    %s: {%s: %s}\n", part.name, yamlText(place), of)
	}
	c, err := config.Parse("the addresses", []byte(text.String()), o)
	return c, asTyped(err)
}

// asTyped names the flags in which mistakes stand, in the place of a file that nobody wrote.
func asTyped(err error) error {
	var mistakes config.Errors
	if !errors.As(err, &mistakes) {
		return err
	}
	var all []error
	for _, m := range mistakes {
		if m.Path == "" {
			return err
		}
		where := strings.NewReplacer("systems[0]", "incumbent", "systems[1]", "candidate", "comparisons[0].", "").Replace(m.Path)
		flag, _, _ := strings.Cut(where, ".")
		all = append(all, fmt.Errorf("--%s: %s", flag, m.Text))
	}
	return errors.Join(all...)
}
