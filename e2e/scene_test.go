package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// A scene is the stage of one story: brokers, topology, a configuration, a load,
// a bridge and a book for each of its relays.
type scene struct {
	t       *testing.T
	title   string
	version string // of the RabbitMQ
	kind    brokers.Kind
	name    string // of the bridge and of everything at the brokers
	rng     *rand.Rand
	rabbit  string // URL
	nats    string // URL
	kafka   string // URL; empty in stories without one
	second  string // URL of another RabbitMQ; likewise
	disturb map[brokers.Kind]*brokers.Server

	// Where the bridge finds them: the same, or through proxies.
	rabbitVia, natsVia, kafkaVia       string
	rabbitProxy, natsProxy, kafkaProxy *proxy
	rabbitMore                         string // settings

	binary string
	env    []string
	dir    string
	config string
	listen string
	bridge *process

	load     ledger.Load
	pace     ledger.Pace
	least    int // messages to produce at least
	produce  func(context.Context, *ledger.Book, string, ledger.Pace) error
	source   string // URL
	produced chan error

	relays  []*relay
	faults  []string
	count   map[string]int
	began   time.Time
	notes   []string
	planted bool
	// expectParked says that messages outside the plan are parked.
	expectParked bool
	// compared are the comparisons of the configuration, each as its lines.
	compared []string
}

// A relay is one of the configuration, with its candidate as the ledger sees it.
type relay struct {
	name     string
	from, to string // blocks of the configuration
	more     string // further lines of the relay
	tap      string // the block by which its candidate is compared; empty where it cannot be
	book     *ledger.Book
	reader   ledger.Reader
	// repeats says that the candidate cannot be read back, so that what was on
	// its way at a crash may be there twice.
	repeats bool
	report  ledger.Report
}

// scenes numbers the scenes of a run: names at the brokers are not used twice.
var scenes = func() func() int {
	var mu sync.Mutex
	n := 0
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		n++
		return n
	}
}()

// newScene prepares a story on a generation of RabbitMQ. The kinds are the
// brokers that it is going to disturb, KindRabbitMQ being that of the generation;
// the others are those that tests share.
func newScene(t *testing.T, g generation, title string, disturb ...brokers.Kind) *scene {
	t.Helper()
	n := scenes()
	port, err := brokers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{
		t: t, kind: g.kind, name: fmt.Sprintf("e2e-%d-%d", os.Getpid(), n), dir: t.TempDir(),
		rng: newRand(t, title), listen: fmt.Sprintf("127.0.0.1:%d", port),
		disturb: map[brokers.Kind]*brokers.Server{}, count: map[string]int{}, began: time.Now(),
	}
	s.config = filepath.Join(s.dir, "crossfade.yaml")
	if s.binary, err = shipped(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range disturb {
		s.disturb[kind] = ownServer(t, s.generationOf(kind))
	}
	s.rabbit, s.nats = s.url(brokers.KindRabbitMQ), s.url(brokers.KindNATS)
	s.rabbitVia, s.natsVia = s.rabbit, s.nats
	s.version = versionOf(t, s.rabbit)
	s.title = strings.Replace(title, "RabbitMQ", "RabbitMQ "+s.version, 1)
	if s.title == title && !strings.Contains(title, "→") {
		s.title += ", RabbitMQ " + s.version
	}
	return s
}

// generationOf is the kind of server that is meant by a kind of broker.
func (s *scene) generationOf(kind brokers.Kind) brokers.Kind {
	if kind == brokers.KindRabbitMQ {
		return s.kind
	}
	return kind
}

func (s *scene) url(kind brokers.Kind) string {
	s.t.Helper()
	if own := s.disturb[kind]; own != nil {
		return own.URL()
	}
	return brokers.Shared(s.t, s.generationOf(kind))
}

// plant makes the story run a build that makes one mistake.
func (s *scene) plant(bug string) {
	s.t.Helper()
	path, err := planted()
	if err != nil {
		s.t.Fatal(err)
	}
	s.binary, s.env, s.planted = path, append(s.env, "CROSSFADE_PLANT="+bug), true
}

// viaProxies puts a proxy between the bridge and each broker; a Kafka has one only
// where it is a story's alone, and that story disturbs it.
func (s *scene) viaProxies() *scene {
	s.t.Helper()
	s.rabbitProxy, s.rabbitVia = newProxy(s.t, s.rabbit)
	s.natsProxy, s.natsVia = newProxy(s.t, s.nats)
	if own := s.disturb[brokers.KindKafka]; own != nil {
		through, from := own.Detour()
		s.kafkaProxy, s.kafkaVia = newProxyAt(s.t, through, "kafka://"+from)
	}
	return s
}

// write writes the configuration.
func (s *scene) write() {
	s.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nhttp: {listen: %q}\nlog: {format: text}\nsystems:\n", s.name, s.listen)
	fmt.Fprintf(&b, "  - {name: rabbit, kind: rabbitmq, url: %q, heartbeat: 2s, setup_timeout: 5s, confirm_timeout: 5s%s}\n", s.rabbitVia, s.rabbitMore)
	fmt.Fprintf(&b, "  - {name: jet, kind: nats, url: %q}\n", s.natsVia)
	if s.kafka != "" {
		fmt.Fprintf(&b, "  - {name: kafka, kind: kafka, brokers: [%q], session_timeout: %s, request_timeout: 5s}\n",
			strings.TrimPrefix(s.kafkaVia, "kafka://"), kafkaSession)
	}
	if s.second != "" {
		fmt.Fprintf(&b, "  - {name: second, kind: rabbitmq, url: %q, heartbeat: 2s, setup_timeout: 5s, confirm_timeout: 5s}\n", s.second)
	}
	b.WriteString("relays:\n")
	for _, r := range s.relays {
		fmt.Fprintf(&b, "  - name: %s\n    from: %s\n    to: %s\n", r.name, r.from, r.to)
		if r.more != "" {
			fmt.Fprintf(&b, "    %s\n", r.more)
		}
	}
	for i, c := range s.compared {
		if i == 0 {
			b.WriteString("comparisons:\n")
		}
		b.WriteString(c)
	}
	if err := os.WriteFile(s.config, []byte(b.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start starts a bridge beside or after the one before.
func (s *scene) start() *process {
	s.t.Helper()
	s.bridge = startBridge(s.t, s.binary, s.config, s.listen, filepath.Join(s.dir, "crossfade.log"), s.env...)
	return s.bridge
}

// patience bounds what has to happen by itself, on a machine that is busy. At full
// size a quorum queue has hundreds of thousands of messages to read at its start.
var patience = time.Duration(sized(90, 300)) * time.Second

// awaitBridge waits until ok holds for every relay.
func (s *scene) awaitBridge(within time.Duration, what string, ok func(*relayStatus) bool) {
	s.t.Helper()
	await(s.t, within, what, func() bool {
		if s.bridge.ended() {
			s.t.Fatalf("the bridge ended by itself\n%s", s.bridge.logTail(20))
		}
		return s.bridge.everyRelay(ok)
	})
}

// connected says that a relay has opened both of its sides.
func connected(r *relayStatus) bool { return r.State == "idle" || r.State == "running" }

// moving says that a relay has placed something since the bridge was started.
func moving(r *relayStatus) bool { return connected(r) && r.Counts.Placed > 0 }

// standsBy says that a relay waits for its place.
func standsBy(r *relayStatus) bool { return r.State == "waiting" || r.State == "starting" }

// begin starts the bridge and, once its taps are there, the load.
func (s *scene) begin() {
	s.t.Helper()
	s.open()
	s.play()
}

// open starts the bridge, and returns once its taps are there.
func (s *scene) open() {
	s.t.Helper()
	s.write()
	s.start()
	s.t.Cleanup(func() {
		if s.t.Failed() && !s.planted {
			s.t.Logf("the bridge's last words:\n%s", s.bridge.logTail(40))
		}
	})
	s.awaitBridge(patience, "connected to both sides", connected)
	s.t.Cleanup(s.sweep)
}

// play starts the load.
func (s *scene) play() {
	s.t.Helper()
	book := ledger.NewBook(ledger.NewPlan(s.load))
	for i, r := range s.relays {
		subject, aside, seen, losses := r.book.Subject, r.book.Aside, r.book.Seen, r.book.Losses
		if r.book = book; i > 0 {
			r.book = book.ForAnother()
		}
		r.book.Subject, r.book.Aside, r.book.Seen, r.book.Losses = subject, aside, seen, losses
		if c, ok := r.reader.(io.Closer); ok {
			s.t.Cleanup(func() { _ = c.Close() })
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	s.produced = make(chan error, 1)
	go func() { s.produced <- s.produce(ctx, book, s.source, s.pace) }()
}

// comparedName is that of a comparison in its lines.
var comparedName = regexp.MustCompile(`name: ([^,]+)`)

// ownNames finds what the bridge made at RabbitMQ in the words of its check.
var ownNames = regexp.MustCompile(`crossfade\.[^ ]+`)

// sweep removes what the bridge made at the brokers.
func (s *scene) sweep() {
	s.bridge.kill()
	for _, c := range s.compared {
		for _, side := range []string{"incumbent", "candidate"} {
			reader := comparedName.FindStringSubmatch(c)[1] + "-" + side
			if out, code := command(s.t, s.binary, nil, "remove", "-c", s.config, "--confirm", reader); code != 0 {
				s.t.Errorf("sweep: remove %s: exit code %d\n%s", reader, code, out)
			}
		}
	}
	out, _ := command(s.t, s.binary, nil, "check", "-c", s.config)
	conn, err := amqp.Dial(s.rabbit)
	if err != nil {
		s.t.Errorf("sweep: %v", err)
		return
	}
	defer conn.Close()
	names := []string{"crossfade.holdings." + s.name}
	for _, r := range s.relays {
		for _, journal := range []string{"parked", "relay"} {
			names = append(names, strings.Join([]string{"crossfade", s.name, r.name, journal}, "."))
		}
	}
	for _, name := range ownNames.FindAllString(out, -1) {
		names = append(names, name, name+".dropped", name+".offsets")
	}
	for _, name := range names {
		ch, err := conn.Channel()
		if err != nil {
			s.t.Errorf("sweep: %v", err)
			return
		}
		_, _ = ch.QueueDelete(name, false, false, false)
		_ = ch.Close()
	}
	withJetStream(s.t, s.nats, func(ctx context.Context, js jetstream.JetStream) error {
		names := js.StreamNames(ctx)
		for name := range names.Name() {
			if strings.HasPrefix(name, "CROSSFADE") && strings.Contains(name, s.name) {
				if err := js.DeleteStream(ctx, name); err != nil {
					return err
				}
			}
		}
		return names.Err()
	})
	s.sweepKafka()
}

// book is any relay's: what they know of the incumbent is the same.
func (s *scene) book() *ledger.Book { return s.relays[0].book }

// due waits for the moment of fault i of n: a random one in the i-th part of the
// load, with every relay at work.
func (s *scene) due(i, n int) {
	s.t.Helper()
	at := (float64(i) + s.rng.Float64()) / float64(n) * float64(s.least)
	await(s.t, 10*patience, fmt.Sprintf("%d messages produced", int(at)), func() bool {
		s.stillProducing()
		return s.book().Produced() >= int(at)
	})
	s.awaitBridge(patience, "moving messages", moving)
	s.stillProducing()
}

// stillProducing fails a story whose load has come to its end too early.
func (s *scene) stillProducing() {
	s.t.Helper()
	select {
	case err := <-s.produced:
		s.t.Fatalf("the load ended while faults were still to come, at %d messages: %v", s.book().Produced(), err)
	default:
	}
}

// note counts a fault.
func (s *scene) note(fault string) {
	if s.count[fault]++; s.count[fault] == 1 {
		s.faults = append(s.faults, fault)
	}
}

// killBridge is kill -9 and a new start.
func (s *scene) killBridge() {
	s.t.Helper()
	s.note("kill -9 of the bridge")
	s.bridge.kill()
	s.start()
}

// server is one that the story may disturb.
func (s *scene) server(kind brokers.Kind) *brokers.Server {
	s.t.Helper()
	if s.disturb[kind] == nil {
		s.t.Fatalf("the story did not say that it disturbs %s", kind)
	}
	return s.disturb[kind]
}

func (s *scene) do(f func(context.Context) error) {
	s.t.Helper()
	if err := f(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// patience is how long the candidate may receive nothing before what is missing
// counts as lost.
func (s *scene) patience() time.Duration {
	if s.planted {
		return 3 * time.Second // there it is expected
	}
	return patience
}

// enough ends the load, once it is as large as it has to be. Doing it again changes
// nothing.
func (s *scene) enough() {
	s.t.Helper()
	await(s.t, 100*patience, "the load produced", func() bool {
		select {
		case err := <-s.produced:
			s.produced <- err
			return true
		default:
			return s.book().Produced() >= s.least
		}
	})
	s.book().Enough()
	err := <-s.produced
	if s.produced <- err; err != nil {
		s.t.Fatal(err)
	}
}

// finish lets the load come to its end and everything arrive, stops the bridge
// and reads what else there is.
func (s *scene) finish() {
	s.t.Helper()
	s.enough()
	s.each(func(r *relay) error { return ledger.Collect(context.Background(), r.book, r.reader, s.patience()) })
	if !s.bridge.ended() {
		s.lastStatus()
		if code := s.bridge.stop(s.t, 30*time.Second); code != 0 && !s.planted {
			s.t.Errorf("the bridge ended with exit code %d\n%s", code, s.bridge.logTail(20))
		}
	} else if !s.planted {
		s.t.Errorf("the bridge ended by itself\n%s", s.bridge.logTail(20))
	}
	s.each(func(r *relay) error { return ledger.Rest(context.Background(), r.book, r.reader, 500*time.Millisecond) })
	for _, r := range s.relays {
		r.report = r.book.Report()
	}
}

// lastStatus checks the law of conservation, and that nothing was parked.
func (s *scene) lastStatus() {
	s.t.Helper()
	st, err := s.bridge.status()
	if err != nil {
		s.t.Errorf("status: %v", err)
	}
	for i := range st.Relays {
		if r := &st.Relays[i]; !r.balanced() || r.Counts.Parked > 0 && !s.planted && !s.expectParked {
			s.t.Errorf("%s: counts %+v", r.Name, r.Counts)
		}
	}
}

// each does f for all relays side by side.
func (s *scene) each(f func(*relay) error) {
	s.t.Helper()
	errs := make([]error, len(s.relays))
	var wg sync.WaitGroup
	for i, r := range s.relays {
		wg.Go(func() { errs[i] = f(r) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			s.t.Errorf("%s: %v", s.relays[i].name, err)
		}
	}
}

// debt is how many messages may be there twice, after each fault, at a candidate
// that cannot be read back.
const debt = 16384

// expectNothingWrong is the promise: nothing lost, reordered or altered, nothing
// twice but what was in debt at a fault and cannot be read back.
func (s *scene) expectNothingWrong() {
	s.t.Helper()
	defer s.print()
	for _, r := range s.relays {
		report := r.report
		if n := s.faultCount(); r.repeats && report.Duplicated.Count <= n*debt {
			report.Duplicated = ledger.Finding{}
		}
		if !report.Clean() {
			s.t.Errorf("%s: %s", r.name, r.report.String())
		}
		if report.Confirmed < min(s.least, s.load.Messages) {
			s.t.Errorf("%s: %d messages confirmed, want %d", r.name, report.Confirmed, s.least)
		}
	}
}

func (s *scene) faultCount() int {
	n := 0
	for _, c := range s.count {
		n += c
	}
	return n
}

// print says what was played and how it ended.
func (s *scene) print() {
	verdict := "ok"
	if s.t.Failed() {
		verdict = "FAILED"
	}
	var faults []string
	for _, f := range s.faults {
		faults = append(faults, fmt.Sprintf("%d × %s", s.count[f], f))
	}
	if faults == nil {
		faults = []string{"no faults"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "STORY %s: %s, %s (%s)\n", verdict, s.title, strings.Join(faults, ", "), time.Since(s.began).Round(100*time.Millisecond))
	for _, r := range s.relays {
		fmt.Fprintf(&b, "      %-16s %s\n", r.name, r.report.Line())
		for _, l := range r.book.Losses {
			fmt.Fprintf(&b, "      %-16s not compared, since the broker does it: %s\n", "", l.Name)
		}
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "      %s\n", n)
	}
	fmt.Print(b.String())
}

// aloneIfFull plays a story beside others at reduced size only: at full size the load is as
// large as the machine takes.
func aloneIfFull(t *testing.T) {
	if !full {
		t.Parallel()
	}
}
