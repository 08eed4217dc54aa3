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
	json, quiet                     bool
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
	for _, path := range f.outputs {
		if writerOf(path) == nil {
			return fmt.Errorf("--out: %s: want a file that ends in .txt, .json or .html", path)
		}
	}
	end, err := f.end(time.Now())
	if err != nil {
		return err
	}
	c, x, err := f.load(args)
	if err != nil {
		return err
	}
	f.errs, f.terminal, f.began = cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()), time.Now()
	var found struct {
		sync.Mutex
		list []told
	}
	p, err := engine.Compare(c, x, engine.CompareOptions{
		Log: newLog(cmd.ErrOrStderr(), config.Log{Level: f.logLevel, Format: "text"}), Build: build(), End: end, Settle: f.settle,
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
	if err := f.finish(cmd, c, x, r, err); err != nil {
		return err
	}
	return verdictOf(s.Verdict)
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
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 20*time.Second)
	defer cancel()
	var errs []error
	for _, name := range x.Readers() {
		if err := engine.Remove(cleaning, c, name); err != nil {
			errs = append(errs, fmt.Errorf("what the comparison made at the brokers is still there: %w", err))
			break // the other's is no other story
		}
	}
	if failed != nil {
		return errors.Join(failed, errors.Join(errs...))
	}
	write := r.WriteText
	if f.json {
		write = r.WriteJSON
	}
	errs = append(errs, write(cmd.OutOrStdout()))
	for _, path := range f.outputs {
		errs = append(errs, writeReport(r, path))
	}
	return errors.Join(errs...)
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
		return err
	}
	return errors.Join(writerOf(path)(r, file), file.Close())
}

// end is when the comparison ends; zero is never.
func (f *compareFlags) end(now time.Time) (time.Time, error) {
	if f.duration < 0 {
		return time.Time{}, errors.New("--for: a duration is not negative")
	}
	if f.duration > 0 {
		return now.Add(f.duration), nil
	}
	if f.until == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, f.until)
	if err != nil {
		return at, fmt.Errorf("--until: %q: want a time such as 2026-01-31T14:00:00Z", f.until)
	}
	return at, nil
}

// load gives the configuration, and the comparison of it.
func (f *compareFlags) load(args []string) (*config.Config, *config.Comparison, error) {
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // it does not fail
	o := config.Options{Adapters: adapters.Table(), Suffix: "-" + hex.EncodeToString(suffix), From: f.from}
	var c *config.Config
	var err error
	if f.incumbent != "" {
		c, err = f.written(o)
	} else {
		if f.key+f.id != "" {
			return nil, nil, errors.New("--key and --id go with --incumbent and --candidate; a comparison of a configuration says its own")
		}
		if f.file == "" {
			f.file = "crossfade.yaml"
		}
		c, err = config.Load(f.file, o)
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
	for name, value := range map[string]string{"key": f.key, "id": f.id} {
		if value == "" {
			continue
		}
		place, of, is := strings.Cut(value, ":")
		if !is {
			place, of = "from", value
		}
		fmt.Fprintf(&text, "    %s: {%s: %s}\n", name, place, yamlValue(of))
	}
	return config.Parse("the addresses", []byte(text.String()), o)
}

// yamlValue is a number as it is, and text in quotes.
func yamlValue(s string) string {
	if s != "" && strings.Trim(s, "0123456789") == "" {
		return s
	}
	return yamlText(s)
}
