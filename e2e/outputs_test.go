package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/crossfade-mq/crossfade/e2e/brokers"
	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// builtConsumer is the sample consumer of this repository.
var builtConsumer = sync.OnceValues(func() (string, error) {
	repo, err := brokers.Repository()
	if err != nil {
		return "", err
	}
	path := filepath.Join(builds, "consumer")
	cmd := exec.Command("go", "build", "-o", path, "./e2e/consumer")
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the consumer: %w\n%s", err, out)
	}
	return path, nil
})

// outputWindow is how much of the load's time a rollup is of: a message is a millisecond.
func outputWindow() time.Duration { return time.Duration(sized(2, 60)) * time.Second }

// The same consumer runs on both sides of RabbitMQ → Kafka, and once more on RabbitMQ as a
// control. What they produce is compared by the shipped configuration: nothing differs but
// the consumer's own noise, which is not blamed on the candidate. Then the candidate's
// consumer makes a mistake, and the field where it shows is named within a window.
func TestOutputs(t *testing.T) {
	for _, bug := range []struct {
		name   string
		fields []string // of which one at least has to be named, and no other
	}{
		{"rounding", []string{"sum", "mean", "min", "max"}},
		{"dedup", []string{"count", "sum", "mean", "last_seq"}},
		{"late-window", []string{"count", "sum", "mean", "min", "max", "last_seq"}},
	} {
		t.Run(bug.name, func(t *testing.T) {
			t.Parallel()
			o := newOutputScene(t, "RabbitMQ → Kafka, the consumers' outputs compared, then "+bug.name)
			o.play(bug.name, bug.fields)
		})
	}
}

// An outputScene is a scene with three consumers and the comparison of what they write.
type outputScene struct {
	*scene
	topic     string // of the candidate
	results   map[string]string
	consumers map[string]*exec.Cmd
	compare   *process
}

func newOutputScene(t *testing.T, title string) *outputScene {
	s := newScene(t, generations[0], title)
	s.route(quorum, kafka)
	s.relays[0].repeats = true
	o := &outputScene{scene: s, topic: s.name + "-" + quorum + "-to-" + kafka, results: map[string]string{}, consumers: map[string]*exec.Cmd{}}
	for _, name := range []string{"old", "new", "control"} {
		o.results[name] = s.name + "-results-" + name
		s.addTopic(o.results[name])
	}
	return o
}

func (o *outputScene) play(bug string, fields []string) {
	t := o.t
	rate := 1000
	healthy := sized(5000, 330_000) // messages before the mistake: more than five minutes
	o.sizedLoad(ledger.Keys100, healthy, rate)
	o.load.Messages = healthy + sized(40_000, 600_000)
	o.write()
	for _, name := range []string{"old", "control"} {
		o.consume(name, "")
	}
	o.consume("new", "")
	o.startComparing()
	o.begin()
	await(t, 20*patience, "enough produced", func() bool { o.stillProducing(); return o.book().Produced() >= healthy })
	least := uint64(3 * 100) // three windows of a hundred metrics
	var quiet comparisonStatus
	await(t, patience, "three windows compared", func() bool {
		quiet = o.compared()
		return quiet.Outcomes["match"]+quiet.Outcomes["noise"]+quiet.Outcomes["mismatch"] >= least
	})
	if n := quiet.Outcomes["mismatch"] + quiet.Outcomes["missing"] + quiet.Outcomes["extra"] + quiet.Outcomes["incomparable"]; n > 0 || quiet.Verdict != "match" {
		t.Errorf("nothing is wrong yet, and the comparison says %+v", quiet)
	}
	for _, f := range quiet.Fields {
		if f.Blamed || f.Both == 0 {
			t.Errorf("field %s: %+v", f.Path, f)
		}
	}
	if len(quiet.Fields) == 0 {
		t.Error("no field is noise, and when a result was written always is")
	}
	o.stopConsumer("new")
	before := o.book().Produced()
	o.consume("new", bug)
	if bug == "dedup" {
		o.repeat()
	}
	var found comparisonStatus
	await(t, 4*patience, "the mistake named", func() bool {
		found = o.compared()
		return len(blamed(&found)) > 0
	})
	after := o.book().Produced()
	for _, path := range blamed(&found) {
		if !contains(fields, path) {
			t.Errorf("%s makes a difference in %v, and %s is blamed", bug, fields, path)
		}
	}
	o.notes = append(o.notes, fmt.Sprintf("%d records without a mismatch, noise at %s; with the mistake %q: %s named after %d messages, of %d a window",
		quiet.Outcomes["match"]+quiet.Outcomes["noise"], noisy(&quiet), bug, strings.Join(blamed(&found), ", "), after-before, int(outputWindow()/time.Millisecond)))
	o.least = o.book().Produced()
	o.enough()
	o.compare.kill()
	for name := range o.consumers {
		o.stopConsumer(name)
	}
	relays := o.relays
	o.relays = nil // what they bring is another story's
	o.print()
	o.relays = relays
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

func blamed(c *comparisonStatus) (paths []string) {
	for _, f := range c.Fields {
		if f.Blamed {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

func noisy(c *comparisonStatus) string {
	var paths []string
	for _, f := range c.Fields {
		paths = append(paths, f.Path)
	}
	return strings.Join(paths, ", ")
}

// consume starts a consumer: old and control on the incumbent, new on the candidate.
func (o *outputScene) consume(name, bug string) {
	o.t.Helper()
	path, err := builtConsumer()
	if err != nil {
		o.t.Fatal(err)
	}
	from, read := o.rabbit, o.name
	if name == "new" {
		from, read = o.kafka, o.topic
	}
	args := []string{
		"-name", o.name + "-" + name, "-from", from, "-read", read, "-to", o.kafka, "-write", o.results[name],
		"-id-header", "producer-id", "-state", filepath.Join(o.dir, name+".json"), "-window", outputWindow().String(),
	}
	if bug != "" {
		args = append(args, "-bug", bug)
	}
	cmd := exec.Command(path, args...)
	out, err := os.OpenFile(filepath.Join(o.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		o.t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	o.consumers[name] = cmd
	o.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if o.t.Failed() {
			b, _ := os.ReadFile(filepath.Join(o.dir, name+".log"))
			o.t.Logf("consumer %s:\n%s", name, b)
		}
	})
}

func (o *outputScene) stopConsumer(name string) {
	o.t.Helper()
	cmd := o.consumers[name]
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		o.t.Fatalf("consumer %s: %v", name, err)
	}
	if err := cmd.Wait(); err != nil {
		o.t.Errorf("consumer %s: %v", name, err)
	}
}

// startComparing runs the shipped configuration, with the story's broker and topics.
func (o *outputScene) startComparing() {
	o.t.Helper()
	repo, err := brokers.Repository()
	if err != nil {
		o.t.Fatal(err)
	}
	shipped, err := os.ReadFile(filepath.Join(repo, "configs", "outputs.yaml"))
	if err != nil {
		o.t.Fatal(err)
	}
	text := strings.NewReplacer(
		"name: outputs\n", "name: "+o.name+"-outputs\n", "127.0.0.1:9092", strings.TrimPrefix(o.kafka, "kafka://"),
		"results.old", o.results["old"], "results.new", o.results["new"], "results.control", o.results["control"],
	).Replace(string(shipped))
	path := filepath.Join(o.dir, "outputs.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
	port, err := brokers.FreePort()
	if err != nil {
		o.t.Fatal(err)
	}
	o.compare = startBridge(o.t, o.binary, path, fmt.Sprintf("127.0.0.1:%d", port), filepath.Join(o.dir, "outputs.log"))
	await(o.t, patience, "the outputs read", func() bool {
		st, err := o.compare.status()
		return err == nil && len(st.Comparisons) == 1 && st.Comparisons[0].Incumbent.Connected && st.Comparisons[0].Candidate.Connected
	})
}

func (o *outputScene) compared() comparisonStatus {
	o.t.Helper()
	if o.compare.ended() {
		o.t.Fatalf("the comparison ended\n%s", o.compare.logTail(20))
	}
	st, err := o.compare.status()
	if err != nil || len(st.Comparisons) != 1 {
		return comparisonStatus{}
	}
	return st.Comparisons[0]
}

// repeat puts messages of the candidate's there once more, as a producer that is not
// idempotent does, until the story ends.
func (o *outputScene) repeat() {
	ctx, cancel := context.WithCancel(context.Background())
	o.t.Cleanup(cancel)
	client, err := ledger.DialKafka(o.kafka, kgo.ConsumeTopics(o.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		o.t.Fatal(err)
	}
	go func() {
		defer client.Close()
		seen := map[string]bool{}
		for ctx.Err() == nil {
			client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				var sample struct{ Seq int }
				id := string(r.Key) + string(r.Value)
				if json.Unmarshal(r.Value, &sample) != nil || sample.Seq%3 > 0 || seen[id] {
					return
				}
				seen[id] = true
				client.Produce(ctx, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}, nil)
			})
		}
	}()
}
