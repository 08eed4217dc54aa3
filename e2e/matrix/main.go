// Command matrix writes or checks the table of what the conformance suite has proven
// of each adapter:
//
//	matrix [-check] FOLDER DOCUMENT
//
// FOLDER holds the reports that tests leave there with CROSSFADE_MATRIX set. With
// -check the document is compared with them. A cell that failed, or was not run for one
// adapter and was for another of the same system, is an error in both cases.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/adapters/adaptertest"
)

const head = `# Conformance

What the suite in adapters/adaptertest has proven of each adapter on real brokers: one line a promise of the contract
(package bridge), one column a kind of source and target. "waived" names the trait, or the lack of a part, that takes the
promise back; there is no other way to leave a check out. ` + "`make test`" + ` runs all of it and fails where this table is not
what it found; ` + "`make matrix`" + ` writes it.

`

func main() {
	check := flag.Bool("check", false, "compare the document instead of writing it")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "matrix [-check] FOLDER DOCUMENT")
		os.Exit(2)
	}
	err := run(flag.Arg(0), flag.Arg(1), *check)
	if errors.Is(err, errIncomplete) && *check && os.Getenv("CI") != "true" {
		fmt.Println("SKIP: the table of conformance is not compared:", err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

// errIncomplete says that a broker was missing: a failure in CI alone.
var errIncomplete = errors.New("not every system was there")

func run(folder, document string, check bool) error {
	all, err := adaptertest.ReadMatrix(folder)
	if err != nil {
		return err
	}
	m := slices.DeleteFunc(all, func(r adaptertest.Report) bool { return double(r.Adapter) })
	for _, system := range []string{"kafka", "nats", "RabbitMQ 3", "RabbitMQ 4"} {
		if !slices.ContainsFunc(m, func(r adaptertest.Report) bool { return strings.Contains(r.Adapter, system) }) {
			return fmt.Errorf("%w: %s has no report of %s; did its conformance tests run, with CROSSFADE_MATRIX set?", errIncomplete, folder, system)
		}
	}
	for i := range m {
		if n := m[i].Count(adaptertest.Failed); n > 0 {
			return fmt.Errorf("%s: %d checks failed", m[i].Adapter, n)
		}
	}
	table := m.Markdown()
	if strings.Contains(table, " not run ") {
		return fmt.Errorf("some checks were not run:\n%s", table)
	}
	if !check {
		return os.WriteFile(document, []byte(head+table), 0o644)
	}
	is, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	if string(is) != head+table {
		return fmt.Errorf("%s is not what was proven; make matrix writes it. It should be:\n%s", document, table)
	}
	fmt.Printf("%s is what was proven: %d columns\n", document, len(m))
	return nil
}

// double says that a report is about a double, which proves the suite and not a system.
func double(adapter string) bool {
	return strings.HasPrefix(adapter, "memory") || strings.HasPrefix(adapter, "faulty") || adapter == "kafka"
}
