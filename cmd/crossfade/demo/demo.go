package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	natsadapter "github.com/crossfade-mq/crossfade/adapters/nats"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
	"github.com/crossfade-mq/crossfade/bridge/telemetry"
)

// Options are what a user may choose. Zero values mean the defaults.
type Options struct {
	// For is how long the producer runs; 0 is until ctx ends.
	For time.Duration
	// Metrics is how many there are; default 5,000.
	Metrics int
	// Rate is how many samples are produced in a second, on average; default
	// 10,000.
	Rate int
	// Seed makes the producer's choices repeatable; 0 takes one from the clock.
	Seed uint64
	// Listen is the console's address; default 127.0.0.1:7117, "off" is none.
	Listen string
	// Terminal says that out is a terminal, where the status line stays in place.
	Terminal bool
	// Log takes what the bridge logs; nil is nowhere.
	Log *slog.Logger

	// patience is how long the reader gets, without progress, to see the rest.
	patience time.Duration
	// see lets a test stand between the candidate and the reader's judgement.
	see func(body []byte, judge func([]byte, time.Time))
}

func (o *Options) setDefaults() {
	if o.Metrics == 0 {
		o.Metrics = 5000
	}
	if o.Rate == 0 {
		o.Rate = 10_000
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano())
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:7117"
	}
	if o.patience == 0 {
		o.patience = 10 * time.Second
	}
}

// The streams of the demo.
const (
	incumbentStream = "TELEMETRY"
	candidateStream = "TELEMETRY_NEXT"
	relayedStream   = "TELEMETRY_RELAYED"
	spoiledStream   = "TELEMETRY_SPOILED"
)

// restartAfter is the least duration of a run in which the candidate is
// restarted midway.
const restartAfter = 20 * time.Second

// configuration is what a user would write for this migration.
const configuration = `name: demo
http: {listen: %q}
systems:
  - {name: incumbent, kind: nats, url: %q}
  - {name: candidate, kind: nats, url: %q}
  - {name: relayed, kind: nats, url: %q}
  - {name: spoiled, kind: nats, url: %q}
relays:
  - name: telemetry
    from: {system: incumbent, stream: ` + incumbentStream + `}
    to: {system: candidate, stream: ` + candidateStream + `, subject: "{subject}"}
    key: {from: subject}
  - name: telemetry-spoiled
    from: {system: incumbent, stream: ` + incumbentStream + `}
    to: {system: relayed, stream: ` + relayedStream + `, subject: "{subject}"}
    key: {from: subject}
comparisons:
  - {name: healthy, relay: telemetry, candidate: {system: candidate, stream: ` + candidateStream + `}}
  - {name: faulty, relay: telemetry-spoiled, candidate: {system: spoiled, stream: ` + spoiledStream + `}, grace: 2s}
`

// Run plays the demo until ctx ends or Options.For has passed, and prints a
// summary. It returns nil only if something moved and nothing was lost,
// duplicated or reordered.
func Run(ctx context.Context, out io.Writer, o Options) error {
	o.setDefaults()
	dir, err := os.MkdirTemp("", "crossfade-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left behind is in the system's temporary folder
	d := &demo{
		options: o, out: out, line: &line{out: out, inPlace: o.Terminal},
		incumbent: newServer("incumbent", dir), candidate: newServer("candidate", dir), relayed: newServer("relayed", dir), spoiled: newServer("spoiled", dir),
		spoiler:  newSpoiler(),
		producer: newProducer(o.Metrics, o.Rate, o.Seed), reader: newReader(o.Metrics),
	}
	if o.see != nil {
		d.reader.take = func(b []byte, at time.Time) { o.see(b, func(b []byte, _ time.Time) { d.reader.see(b, at) }) }
	}
	for _, s := range d.servers() {
		defer s.stop()
	}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	return d.play(ctx)
}

// A demo is one run with everything in it.
type demo struct {
	options              Options
	out                  io.Writer
	line                 *line
	incumbent, candidate *server
	relayed, spoiled     *server // before and behind the spoiler
	spoiler              *spoiler
	producer             *producer
	reader               *reader
	engine               *engine.Engine
}

func (d *demo) servers() []*server { return []*server{d.incumbent, d.candidate, d.relayed, d.spoiled} }

// prepare starts the servers, makes the streams and composes the bridge.
func (d *demo) prepare(ctx context.Context) error {
	for s, stream := range map[*server]string{d.incumbent: incumbentStream, d.candidate: candidateStream, d.relayed: relayedStream, d.spoiled: spoiledStream} {
		if err := s.start(); err != nil {
			return err
		}
		if err := makeStream(ctx, s.url(), stream); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(configuration, d.options.Listen, d.incumbent.url(), d.candidate.url(), d.relayed.url(), d.spoiled.url())
	c, err := config.Parse("demo.yaml", []byte(text), config.Options{Adapters: []bridge.Adapter{natsadapter.Adapter()}})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.engine, err = engine.New(c, engine.Options{Log: d.options.Log, Build: telemetry.Build{Version: "demo"}})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	_, err = fmt.Fprintf(d.out, "%s\n%d metrics, about %d samples a second, seed %d. Console: %s. Ctrl-C ends it.\n\n",
		"crossfade demo: NATS servers in this process; a relay to a candidate, and a reader there that knows nothing of it;\nanother to a candidate that does wrong on purpose; and both compared with the incumbent, message by message.",
		d.options.Metrics, d.options.Rate, d.options.Seed, d.options.Listen)
	return err
}

func makeStream(ctx context.Context, url, name string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	// The demo may run for days on a laptop: what is old goes.
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Subjects: []string{"telemetry.>"}, Storage: jetstream.FileStorage, MaxBytes: 512 << 20,
	})
	if err != nil {
		return fmt.Errorf("demo: make stream %s: %w", name, err)
	}
	return nil
}

// play runs bridge, reader and producer; the producer ends first, then the
// reader gets time to see everything, then the bridge stops.
func (d *demo) play(ctx context.Context) error {
	background, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var wg sync.WaitGroup
	wg.Go(func() { stop(d.engine.Run(background)) })
	wg.Go(func() {
		if err := d.reader.run(background, d.candidate.url(), candidateStream); err != nil {
			stop(err)
		}
	})
	wg.Go(func() {
		if err := d.spoiler.run(background, d.relayed.url(), d.spoiled.url()); err != nil {
			stop(err)
		}
	})
	wg.Go(func() { d.show(background) })

	producing, halt := context.WithCancel(ctx)
	defer halt()
	context.AfterFunc(background, halt)
	if d.options.For > 0 {
		var cancel context.CancelFunc
		producing, cancel = context.WithTimeout(producing, d.options.For)
		defer cancel()
		wg.Go(func() { d.restart(producing) })
	}
	err := d.producer.run(producing, d.incumbent.url(), d.spoiler.stop)
	if err == nil {
		d.settle(background)
	}
	cause := context.Cause(background)
	stop(nil)
	wg.Wait()
	if err = errors.Join(err, cause); err != nil {
		return err
	}
	return d.summary()
}

// restart takes the candidate away for a second, midway in a run that is long
// enough to show it.
func (d *demo) restart(ctx context.Context) {
	if d.options.For < restartAfter {
		return
	}
	pause(ctx, d.options.For/2)
	if ctx.Err() != nil {
		return
	}
	d.line.event("the candidate is stopped")
	d.candidate.stop()
	pause(ctx, time.Second)
	if err := d.candidate.start(); err != nil {
		d.line.event(err.Error())
		return
	}
	d.line.event("the candidate is back")
}

// settle waits until the reader has seen everything and all is compared, or nothing more
// comes.
func (d *demo) settle(ctx context.Context) {
	seen, since := uint64(0), time.Now()
	for ctx.Err() == nil && time.Since(since) < d.options.patience {
		v, compared := d.verdict(), d.compared()
		if v.Lost == 0 && compared.done {
			return
		}
		if now := v.Read + compared.judged; now != seen {
			seen, since = now, time.Now()
		}
		pause(ctx, 20*time.Millisecond)
	}
}

func (d *demo) verdict() Verdict {
	produced := d.producer.produced()
	return d.reader.judge(produced, d.producer.last())
}

// summary prints the verdict, and is an error unless it is clean.
func (d *demo) summary() error {
	v := d.verdict()
	c := d.engine.Readings()[0].Counts
	_, err := fmt.Fprintf(d.out, `
produced    %9d   confirmed by the incumbent
read        %9d   from the candidate, by a reader of its own
lost        %9d
duplicated  %9d
reordered   %9d   within their metric
lag         %9s   median, %s at the 99th percentile, from producer to reader
the bridge  %9d   received = %d placed + %d suppressed + %d parked + %d expired + %d looped + %d given back + %d in flight
`, v.Produced, v.Read, v.Lost, v.Duplicated, v.Reordered, brief(v.P50), brief(v.P99),
		c.Received, c.Placed, c.Suppressed, c.Parked, c.Expired, c.Looped, c.GivenBack, c.InFlight)
	if err != nil {
		return err
	}
	if !v.Clean() {
		return errUnclean
	}
	if _, err = fmt.Fprintln(d.out, "\nEverything arrived once and in order."); err != nil {
		return err
	}
	found := d.compared()
	return found.write(d.out)
}
