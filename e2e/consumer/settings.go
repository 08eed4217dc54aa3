package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// settings are the flags.
type settings struct {
	from, read, queue string
	to, write         string
	name, idHeader    string
	state             string
	batch             int
	quiet             bool
	rules
}

// parse reads the flags and says what is wrong with them. If they ask for help, it
// writes that and gives flag.ErrHelp.
func parse(args []string, help io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("consumer", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&s.from, "from", "", "where the samples are: amqp://…, kafka://host:port or nats://…")
	f.StringVar(&s.read, "read", "", "the exchange, topic or stream of the samples")
	f.StringVar(&s.queue, "queue", "", "RabbitMQ: read this queue, instead of a quorum queue consumer.NAME of its own, bound to the exchange")
	f.StringVar(&s.to, "to", "", "where alerts and rollups go: amqp://…, kafka://host:port or nats://…")
	f.StringVar(&s.write, "write", "", "the exchange, topic or first token of the subjects for alerts and rollups")
	f.StringVar(&s.name, "name", "telemetry", "the name of the consumer group, the durable consumer or the queue")
	f.StringVar(&s.idHeader, "id-header", "Ledger-Id", "the header with a message's ID where its system has no field for it")
	f.StringVar(&s.state, "state", "", "the file that keeps the state; one for each consumer")
	f.Float64Var(&s.High, "high", 900, "a value above this raises an alert")
	f.DurationVar(&s.Window, "window", time.Minute, "the length of a rollup's window")
	f.IntVar(&s.Remember, "remember", 100_000, "how many samples' IDs are remembered to tell repeats")
	f.IntVar(&s.batch, "batch", 5000, "how many samples are taken at once, at most")
	f.BoolVar(&s.quiet, "quiet", false, "leave out who wrote a result, and when")
	f.StringVar(&s.Bug, "bug", "", "plant a mistake: "+strings.Join(bugs, ", "))
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(help)
		f.PrintDefaults()
		return s, err
	case err != nil:
		return s, fmt.Errorf("%w; -h lists the flags", err)
	case f.NArg() > 0:
		return s, fmt.Errorf("%q is no flag; -h lists the flags", f.Arg(0))
	}
	return s, s.validate()
}

func (s *settings) validate() error {
	switch {
	case s.from == "" || s.read == "" && s.queue == "":
		return errors.New("-from and -read are needed: where are the samples?")
	case s.to == "" || s.write == "":
		return errors.New("-to and -write are needed: where do alerts and rollups go?")
	case s.state == "":
		return errors.New("-state is needed: a file of this consumer's own, which need not be there yet")
	case s.name == "" || s.idHeader == "":
		return errors.New("-name and -id-header cannot be empty")
	case s.Window <= 0 || s.batch < 1:
		return errors.New("-window and -batch have to be above 0")
	case s.Remember < 0 || s.Remember > 10_000_000:
		return errors.New("-remember has to be in 0..10000000")
	case s.Bug != "" && !slices.Contains(bugs, s.Bug):
		return fmt.Errorf("-bug %s: there are only %s", s.Bug, strings.Join(bugs, ", "))
	}
	return nil
}
