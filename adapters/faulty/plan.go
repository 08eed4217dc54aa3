package faulty

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A Kind names a fault, or what became of one.
type Kind string

// The kinds of faults. ZombieLanded and ZombieRefused are not faults of their
// own: they count what became of a zombie's messages.
const (
	Before     Kind = "before"
	After      Kind = "after"
	Duplicate  Kind = "duplicate"
	Delay      Kind = "delay"
	Disconnect Kind = "disconnect"
	Partial    Kind = "partial"
	Zombie     Kind = "zombie"
	Refuse     Kind = "refuse"

	ZombieLanded  Kind = "zombie landed"
	ZombieRefused Kind = "zombie refused"
)

// Kinds are the faults that a Plan has rates for, in a fixed order.
func Kinds() []Kind {
	return []Kind{Before, After, Duplicate, Delay, Disconnect, Partial, Zombie}
}

// A Plan says what goes wrong.
type Plan struct {
	Seed uint64
	// Rates gives for each kind how often it strikes, per call of a place where
	// it can: 0.01 is every hundredth time. Their sum is at most 1.
	Rates map[Kind]float64
	// Most bounds how often each kind strikes at each place, so that work comes to
	// an end; 0 is no bound.
	Most int
	// Delay is the longest delay; 0 is 50 ms.
	Delay time.Duration
	// Refuse chooses messages that the target will never take, by giving a
	// bridge.Reject for them. It is a pure function; nil takes all.
	Refuse func(*bridge.Message) error
}

// Evenly gives a rate to every kind but Zombie.
func Evenly(rate float64) map[Kind]float64 {
	rates := map[Kind]float64{}
	for _, k := range Kinds() {
		if k != Zombie {
			rates[k] = rate
		}
	}
	return rates
}

// Faults carries out a Plan, and counts. Safe for concurrent use.
type Faults struct {
	plan Plan

	mu     sync.Mutex
	off    bool
	places map[string]*place
	struck map[Kind]int
}

// New gives what decorates openers with the plan's faults.
func New(p Plan) *Faults {
	if p.Delay == 0 {
		p.Delay = 50 * time.Millisecond
	}
	return &Faults{plan: p, places: map[string]*place{}, struck: map[Kind]int{}}
}

// Stop lets nothing more go wrong. Refused messages stay refused, and zombies
// that wait for a successor are forgotten.
func (f *Faults) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = true
}

// Count is how often a kind has struck.
func (f *Faults) Count(k Kind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck[k]
}

// Counts is how often each kind has struck that has struck at all.
func (f *Faults) Counts() map[Kind]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.struck)
}

// String lists the seed and the counts.
func (f *Faults) String() string {
	counts := f.Counts()
	parts := []string{fmt.Sprintf("seed %d", f.plan.Seed)}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return strings.Join(parts, ", ")
}

func (f *Faults) count(k Kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.struck[k]++
}

func (f *Faults) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.off
}

// A place is one method of one thing, with its own sequence of faults.
type place struct {
	name   string
	rng    *rand.Rand
	struck map[Kind]int
}

// A strike is what a place has drawn: the fault, or "" for none, and what a fault
// needs of chance.
type strike struct {
	kind Kind
	err  error
	wait time.Duration
	rng  *rand.Rand
}

// draw decides what happens at a place, given what can.
func (f *Faults) draw(name string, can ...Kind) strike {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.places[name]
	if p == nil {
		h := fnv.New64a()
		h.Write([]byte(name))
		p = &place{name: name, rng: rand.New(rand.NewPCG(f.plan.Seed, h.Sum64())), struck: map[Kind]int{}}
		f.places[name] = p
	}
	// The same numbers are drawn whatever comes of them.
	at, own := p.rng.Float64(), rand.New(rand.NewPCG(p.rng.Uint64(), 0))
	s := strike{rng: own, wait: time.Duration(1 + own.Int64N(int64(f.plan.Delay)))}
	if f.off {
		return s
	}
	for _, k := range can {
		if at -= f.plan.Rates[k]; at >= 0 {
			continue
		}
		if f.plan.Most == 0 || p.struck[k] < f.plan.Most {
			p.struck[k]++
			f.struck[k]++
			s.kind = k
			s.err = fmt.Errorf("faulty: %s: %s", name, k)
		}
		break
	}
	return s
}

// pause waits, or gives the cause of ctx.
func (s *strike) pause(ctx context.Context) error {
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
