package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/crossfade-mq/crossfade/bridge"
)

var sinkChecks = []check{
	{"Send", "places every message once, each key in order", []waiver{needsSink}, sendPlaces},
	{"Send", "settled means stored", []waiver{needsSink, needsDurableSink}, settledIsStored},
	{"Send", "what was settled survives the restart of the system", []waiver{needsSink, needsDurableSink, needsRestart}, settledSurvivesRestart},
	{"Send", "placements rise with the order sent", []waiver{needsSink}, placementsRise},
	{"Send", "ends with ctx, and the lane with it", []waiver{needsSink}, sendEndsWithContext},
	{"Send", "a Reject is about one message, and the lane goes on", []waiver{needsSink, needsMaxBody}, sendRejects},
	{"Send", "takes bodies up to the trait MaxBody", []waiver{needsSink, needsMaxBody}, sendLargest},
	{"Send", "lanes work side by side", []waiver{needsSink, needsLanes}, lanesBeside},
	{"Crash", "a lane that is closed in the middle is resumed in order", []waiver{needsSink, needsDurableSink}, resumesAfterClose},
	{"Crash", "a process that dies in the middle is resumed in order", []waiver{needsSink, needsDurableSink}, resumesAfterDeath},
	{"Crash", "a restart of the system in the middle is resumed in order", []waiver{needsSink, needsDurableSink, needsRestart}, resumesAfterRestart},
	{"Fence", "what a predecessor sends late is refused", []waiver{needsSink, needsFence}, fenceRefuses},
	{"Fence", "what a predecessor sends before the successor's first is not passed by", []waiver{needsSink, needsFence}, fenceNotPassed},
	{"Recall", "sees all that was placed, newest first, the newest n, and no more than is wanted", []waiver{needsSink, needsRecall}, recallSeesAll},
	{"Recall", "keeps lanes apart", []waiver{needsSink, needsRecall, needsLanes}, recallByLane},
	{"Recall", "sees what landed before a death without Close", []waiver{needsSink, needsRecall}, recallAfterDeath},
	{"Locate", "finds the newest message with an ID", []waiver{needsSink}, locateFinds},
}

func needsMaxBody(f *facts) string {
	if f.to.MaxBody == 0 {
		return "trait MaxBody: not known"
	}
	return ""
}

func sendPlaces(e *env) {
	l := e.lane(e.process(), 0)
	msgs := e.messages(300, 7)
	for sent := 0; sent < len(msgs); {
		n := min(1+e.rand.IntN(40), len(msgs)-sent)
		if _, err := l.send(msgs[sent : sent+n]); err != nil {
			e.Fatalf("send: %v", err)
		}
		sent += n
	}
	if n, err := l.await(len(msgs)); n != len(msgs) || err != nil {
		e.Fatalf("settled %d of %d: %v", n, len(msgs), err)
	}
	l.end()
	e.want("the target", msgs)
}

func settledIsStored(e *env) {
	l := e.lane(e.process(), 0)
	var all []bridge.Message
	for round := range 6 {
		msgs := e.messages(1+round*7, 3)
		all = append(all, msgs...)
		l.deliver(msgs)
		e.want(fmt.Sprintf("the target, with %d settled", len(all)), all)
	}
	// A lane that is closed at once leaves at least what it had settled.
	msgs := e.messages(100, 3)
	before, _ := l.state()
	if _, err := l.send(msgs); err != nil {
		e.Fatalf("send: %v", err)
	}
	l.end()
	n, _ := l.state()
	have := map[string]bool{}
	for _, m := range e.read() {
		have[m.ID.Value] = true
	}
	for i := range min(n-before, len(msgs)) {
		if !have[msgs[i].ID.Value] {
			e.Errorf("message %s was settled, but is not in the target", msgs[i].ID.Value)
		}
	}
}

func settledSurvivesRestart(e *env) {
	l := e.lane(e.process(), 0)
	msgs := e.messages(100, 3)
	l.deliver(msgs)
	e.restart()
	e.want("the target after a restart", msgs)
}

func placementsRise(e *env) {
	l := e.lane(e.process(), 0)
	msgs := e.messages(60, 3)
	l.deliver(msgs[:20])
	l.deliver(msgs[20:])
	last, known := uint64(0), 0
	for i, g := range l.given() {
		if g.Refused != nil || g.Repeat {
			e.Errorf("message %d: placement %+v of a message like no other", i, g)
		}
		if g.Position == 0 {
			continue
		}
		if known++; g.Position <= last {
			e.Errorf("message %d has position %d, the one before it %d", i, g.Position, last)
		}
		last = g.Position
	}
	switch {
	case known == 0:
		e.without("its target gives no positions")
	case known != len(msgs):
		e.Errorf("%d of %d placements have a position", known, len(msgs))
	}
}

func sendEndsWithContext(e *env) {
	l := e.lane(e.process(), 0)
	msgs := e.messages(6, 2)
	l.deliver(msgs[:2])
	cause := errors.New("the check has seen enough")
	ctx, cancel := context.WithCancelCause(e.Context())
	cancel(cause)
	n := 0
	err := e.bounded("Send with a ctx that has ended", func(context.Context) (err error) {
		n, err = l.Send(ctx, []*bridge.Message{&msgs[2], &msgs[3]})
		return err
	})
	if n == 2 || err == nil || !errors.Is(err, cause) {
		e.Errorf("Send with a ctx that has ended: %d, %v; want its cause, %v", n, err, cause)
	}
	if n, err := l.send(msgs[4:5]); err == nil {
		e.Errorf("Send after the lane had ended: %d, no error", n)
	}
	l.end()
	e.deliverAnyhow(msgs[5:])
	got := byKey(e.read())
	if n := len(got[msgs[5].Key]); n == 0 || got[msgs[5].Key][n-1] != msgs[5].ID.Value {
		e.Errorf("the next session's message is not the last of its key: %v", got)
	}
}

// sized gives a message with a body of that many octets.
func (e *env) sized(octets int) bridge.Message {
	m := e.messages(1, 1)[0]
	m.Body = make([]byte, octets)
	for i := range m.Body {
		m.Body[i] = byte(i * 7)
	}
	return m
}

// verdict sends one message, and gives the Reject if it was refused in any of
// the three ways there are. ended says that the lane ended with it.
func (l *lane) verdict(m bridge.Message) (ended bool, refused error) {
	l.e.Helper()
	before, _ := l.state()
	if _, err := l.send([]bridge.Message{m}); err != nil {
		return bridge.ClassOf(err) != bridge.Rejected, err
	}
	n, err := l.await(before + 1)
	switch {
	case err != nil:
		return true, err
	case n == before+1:
		return false, l.given()[before].Refused
	}
	return true, errPatience
}

func sendRejects(e *env) {
	s := e.sink(e.process())
	l := e.laneOn(s, 0)
	msgs := e.messages(4, 1)
	for i := range msgs {
		l.deliver(msgs[i : i+1])
		if i == 3 {
			break
		}
		ended, refused := l.verdict(e.sized(e.facts.to.MaxBody + 1))
		if bridge.ClassOf(orNil(refused)) != bridge.Rejected || bridge.ReasonOf(refused) != bridge.ReasonOversized {
			e.Fatalf("a body of MaxBody+1 was answered with %v, want a Reject as %s", refused, bridge.ReasonOversized)
		}
		if ended {
			l.end()
			l = e.laneOn(s, 0)
		}
	}
	e.want("the target", msgs)
	// In the midst of others: those in front are handed over, those behind wait.
	before, _ := l.state()
	more := e.messages(4, 1)
	batch := append(append(append([]bridge.Message(nil), more[:2]...), e.sized(e.facts.to.MaxBody+1)), more[2:]...)
	n, err := l.send(batch)
	switch {
	case err == nil: // refused by the answer
		if _, err := l.await(before + len(batch)); err == nil {
			break
		} else if bridge.ClassOf(err) != bridge.Rejected {
			e.Fatalf("settled gave %v, want a Reject", err)
		}
		n, _ := l.state()
		l.end()
		l = e.laneOn(s, 0)
		l.deliver(batch[min(n-before+1, len(batch)):])
	case bridge.ClassOf(err) == bridge.Rejected:
		if n != 2 {
			e.Errorf("Send gave %d and a Reject, want 2 in front of it", n)
		}
		l.deliver(more[2:])
	default:
		e.Fatalf("send: %v", err)
	}
	e.want("the target", append(msgs, more...))
}

func orNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// sendLargest sends half of the largest body, which has to go, and the largest,
// which may be refused where headers count as well, and then as oversized.
func sendLargest(e *env) {
	l := e.lane(e.process(), 0)
	largest := min(e.facts.to.MaxBody, 16<<20)
	half := e.sized(largest / 2)
	l.deliver([]bridge.Message{half})
	full := e.sized(largest)
	want := []bridge.Message{half, full}
	if _, refused := l.verdict(full); refused != nil {
		if bridge.ReasonOf(refused) != bridge.ReasonOversized {
			e.Fatalf("the largest body: %v", refused)
		}
		e.note("a body of exactly MaxBody octets is refused: headers count as well")
		want = want[:1]
	}
	e.want("the target", want)
}

func lanesBeside(e *env) {
	s := e.sink(e.process())
	n := min(e.facts.lanes(), 4)
	msgs := e.messages(100*n, n)
	for i := range msgs {
		msgs[i].Key = e.facts.key(i%n, i%n)
	}
	var wg sync.WaitGroup
	lanes := make([]*lane, n)
	for i := range n {
		lanes[i] = e.laneOn(s, i)
	}
	for i := range n {
		wg.Go(func() {
			for at := i; at < len(msgs); at += n {
				l := lanes[i]
				l.mu.Lock()
				l.limit++
				l.mu.Unlock()
				if k, err := l.Send(e.Context(), []*bridge.Message{&msgs[at]}); k != 1 || err != nil {
					e.breach("send on lane %d: %d, %v", i, k, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, l := range lanes {
		if k, err := l.await(len(msgs) / n); k != len(msgs)/n || err != nil {
			e.Errorf("lane %d settled %d of %d: %v", i, k, len(msgs)/n, err)
		}
		l.end()
	}
	e.want("the target", msgs)
}

func resumesAfterClose(e *env) {
	p := e.process()
	c := e.carrier(e.messages(300, 5))
	for range 4 {
		c.live(p, 1+e.rand.IntN(60)).end()
	}
	c.finish(p)
	c.want()
}

func resumesAfterDeath(e *env) {
	c := e.carrier(e.messages(300, 5))
	for range 4 {
		p := e.process()
		c.live(p, 1+e.rand.IntN(60))
		e.die(p)
	}
	c.finish(e.process())
	c.want()
}

func resumesAfterRestart(e *env) {
	p := e.process()
	c := e.carrier(e.messages(300, 5))
	l := c.live(p, 100)
	e.restart()
	l.end()
	e.die(p)
	c.finish(e.process())
	c.want()
}

func locateFinds(e *env) {
	l := e.lane(e.process(), 0)
	finder, ok := l.sink.(bridge.Locator)
	if !ok {
		e.without("its sink is no Locator")
		return
	}
	msgs := e.messages(20, 3)
	l.deliver(msgs)
	given := l.given()
	want := func(key string, id bridge.ID, position uint64, found bool) {
		e.Helper()
		err := e.bounded("Locate", func(ctx context.Context) error {
			pos, ok, err := finder.Locate(ctx, key, id)
			if err == nil && (ok != found || pos != position) {
				err = fmt.Errorf("gave %d, %v; want %d, %v", pos, ok, position, found)
			}
			return err
		})
		if err != nil {
			e.Errorf("locate %q of %q: %v", id.Value, key, err)
		}
	}
	for i := range msgs {
		if given[i].Position > 0 {
			want(msgs[i].Key, msgs[i].ID, given[i].Position, true)
		}
	}
	want(msgs[0].Key, bridge.ID{Value: msgs[0].ID.Value + " "}, 0, false)
	want(msgs[1].Key, msgs[0].ID, 0, false)
}
