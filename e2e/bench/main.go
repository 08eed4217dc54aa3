package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// contestants are those whom a process of this program can be.
func contestants() map[string]func(context.Context, job, *watch) error {
	return map[string]func(context.Context, job, *watch) error{
		loop:          loopContestant,
		codecLoop:     codecLoopContestant,
		crossfade:     crossfadeContestant(nil),
		crossfadeMany: crossfadeContestant(manyInFlight),
		compared:      crossfadeCompared,
		memoryOne:     memoryRelay(1, bridge.SurvivesPrefix),
		memoryFour:    memoryRelay(4, bridge.SurvivesPrefix),
		memoryGate:    memoryRelay(1, bridge.SurvivesAny),
		bare:          bareRelay,
	}
}

func main() {
	if text := os.Getenv(jobVariable); text != "" {
		exit(work(text))
	}
	s := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(s.run(ctx, os.Stdout))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// settings are the flags.
type settings struct {
	messages, memory, rounds int
	rest                     time.Duration
	only                     string
	profiles                 string
	out                      io.Writer
}

func parse() *settings {
	s := &settings{out: os.Stderr}
	flag.IntVar(&s.messages, "messages", 100_000, "messages a round; routes with one of a key in flight take a fifth")
	flag.IntVar(&s.memory, "memory", 500_000, "messages a round in memory")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds, of which the median counts")
	flag.DurationVar(&s.rest, "rest", 2*time.Second, "time for the brokers between filling and copying")
	flag.StringVar(&s.only, "only", "", "a comma-separated list of memory, "+strings.Join(routeNames(), ", ")+"; all by default")
	flag.StringVar(&s.profiles, "profiles", "", "a folder for CPU profiles of the contestants; none by default")
	flag.Parse()
	return s
}

func routeNames() (names []string) {
	for _, r := range routes {
		names = append(names, r.name)
	}
	return names
}

func (s *settings) run(ctx context.Context, out io.Writer) error {
	if s.profiles != "" {
		if err := os.MkdirAll(s.profiles, 0o755); err != nil {
			return err
		}
	}
	wanted, err := s.wanted()
	if err != nil {
		return err
	}
	var inMemory []measurement
	if wanted("memory") {
		if inMemory, err = s.measureMemory(ctx); err != nil {
			return err
		}
	}
	all, err := s.measureRoutes(ctx, wanted)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		err = errors.Join(err, routesTable(all).print(out))
		fmt.Fprintln(out)
	}
	if len(inMemory) > 0 {
		err = errors.Join(err, memoryTable(inMemory).print(out))
	}
	return err
}

// wanted reads which parts are to be run.
func (s *settings) wanted() (func(string) bool, error) {
	if s.messages < 1 || s.memory < 1 || s.rounds < 1 || s.rest < 0 {
		return nil, errors.New("messages, memory and rounds are at least 1, and rest is not negative")
	}
	if s.only == "" {
		return func(string) bool { return true }, nil
	}
	only := strings.Split(s.only, ",")
	for _, name := range only {
		if !slices.Contains(append(routeNames(), "memory"), name) {
			return nil, fmt.Errorf("only: there is no %q", name)
		}
	}
	return func(name string) bool { return slices.Contains(only, name) }, nil
}

func (s *settings) measureRoutes(ctx context.Context, wanted func(string) bool) (all [][]measurement, err error) {
	if !slices.ContainsFunc(routeNames(), wanted) {
		return nil, nil
	}
	b, err := openBrokers(wanted)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for i := range routes {
		r := &routes[i]
		if !wanted(r.name) {
			continue
		}
		for _, k := range []keys{uniform, zipf} {
			group, err := r.measure(ctx, b, k, s)
			if err != nil {
				return nil, err
			}
			all = append(all, group)
		}
	}
	return all, nil
}

// measureMemory runs the relay by itself on one processor.
func (s *settings) measureMemory(ctx context.Context) ([]measurement, error) {
	all := []measurement{{contestant: bare}, {contestant: memoryOne}, {contestant: memoryFour}, {contestant: memoryGate}}
	for round := range s.rounds {
		for i := range all {
			m := &all[(i+round)%len(all)]
			x, err := job{Contestant: m.contestant, Messages: s.memory, Bridge: "bench", Relay: "memory", Profile: s.profileOf(nil, m)}.
				run(ctx, "GOMAXPROCS=1", "GOGC=400")
			if err != nil {
				return nil, fmt.Errorf("in memory: %w", err)
			}
			m.results = append(m.results, x)
			s.say("%-39s round %d  %8.0f msg/s  %5.2f CPU s/M", m.contestant, round+1, x.rate(), x.cost())
		}
	}
	return all, nil
}

// profileOf names the file for the CPU profile of a contestant's latest round.
func (s *settings) profileOf(r *route, m *measurement) string {
	if s.profiles == "" {
		return ""
	}
	name := m.contestant
	if r != nil {
		name = r.name + " " + string(m.keys) + " " + name
	}
	return filepath.Join(s.profiles, strings.NewReplacer(" ", "-", ",", "", "/", "-").Replace(name)+".pprof")
}

func (s *settings) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }
