package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	private "github.com/crossfade-mq/crossfade/e2e/brokers"
)

// A contestant is this program again, which is the test's own here.
func TestMain(m *testing.M) {
	if text := os.Getenv(jobVariable); text != "" {
		exit(work(text))
	}
	os.Exit(m.Run())
}

func TestLoad(t *testing.T) {
	const n = 50_000
	for k, hottest := range map[keys][2]float64{uniform: {0.0001, 0.0006}, zipf: {0.09, 0.115}} {
		l := newLoad(n, k, "run", "p.")
		count := map[string]int{}
		ids := map[string]bool{}
		for i := range n {
			count[l.key(i)]++
			ids[l.id(i)] = true
		}
		most := 0
		for _, c := range count {
			most = max(most, c)
		}
		if share := float64(most) / n; share < hottest[0] || share > hottest[1] {
			t.Errorf("%s: the hottest key has %.4f of the messages, want %v", k, share, hottest)
		}
		if len(ids) != n {
			t.Errorf("%s: %d IDs for %d messages", k, len(ids), n)
		}
		for _, i := range []int{0, 1, 9, 10, 12345, n - 1} {
			body := l.body(i)
			if got, ok := numberOf(body); !ok || got != i || len(body) != bodySize {
				t.Errorf("%s: body %d has %d octets and says it is %d: %s", k, i, len(body), got, body)
			}
		}
		if !slices.Equal(l.of, newLoad(n, k, "again", "").of) {
			t.Errorf("%s: two loads of one size differ", k)
		}
	}
}

// A round that is wrong in any way does not count.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	const n = 2000
	l := newLoad(n, zipf, "run", "")
	// Two messages of one key, with others in between.
	first := 0
	second := slices.Index(l.of[1:], l.of[0]) + 1
	for name, c := range map[string]struct {
		bend func(order []int) []int
		body func(i int) []byte
		id   func(i int) string
		want string
	}{
		"right":     {want: ""},
		"lost":      {bend: func(o []int) []int { return slices.Delete(o, 500, 502) }, want: "2 of 2000 messages are lost"},
		"nothing":   {bend: func([]int) []int { return nil }, want: "2000 of 2000 messages are lost"},
		"twice":     {bend: func(o []int) []int { return append(o, 7) }, want: "message 7 is there twice"},
		"reordered": {bend: func(o []int) []int { o[first], o[second] = o[second], o[first]; return o }, want: "came behind"},
		"altered": {body: func(i int) []byte {
			b := l.body(i)
			if i == 42 {
				b[len(b)-5] ^= 1
			}
			return b
		}, want: "message 42 is altered"},
		"unknown": {body: func(int) []byte { return []byte("?") }, want: "unknown message"},
		"beyond":  {body: func(int) []byte { return []byte(`{"n":2000,`) }, want: "unknown message"},
		"wrong ID": {id: func(i int) string {
			if i == 99 {
				return l.id(98)
			}
			return l.id(i)
		}, want: "message 99 has the ID"},
	} {
		t.Run(name, func(t *testing.T) {
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			if c.bend != nil {
				order = c.bend(order)
			}
			body, id := l.body, l.id
			if c.body != nil {
				body = c.body
			}
			if c.id != nil {
				id = c.id
			}
			ch := newCheck(l, l.id)
			for _, i := range order {
				ch.add(body(i), id(i))
			}
			err := ch.done()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("done = %v, want %q", err, c.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	of := func(seconds ...float64) float64 {
		var rs []result
		for _, s := range seconds {
			rs = append(rs, result{Messages: 100, Seconds: s})
		}
		return median(rs, result.rate)
	}
	if got := of(1, 100, 2); got != 50 {
		t.Errorf("median of three = %v, want 50", got)
	}
	if got := of(1, 2); got != 75 {
		t.Errorf("median of two = %v, want 75", got)
	}
	slow := []result{{Messages: 1, Seconds: 1}, {Messages: 1, Seconds: 10}, {Messages: 1, Seconds: 2}}
	fast := []result{{Messages: 1, Seconds: 0.5}, {Messages: 1, Seconds: 2}, {Messages: 1, Seconds: 2}}
	if got := ratio(slow, fast, result.rate); got != 2 {
		t.Errorf("ratio = %v, want 2: the rounds have 2, 5 and 1", got)
	}
}

func TestTableIsAligned(t *testing.T) {
	r, err := routeNamed("quorum-jetstream")
	if err != nil {
		t.Fatal(err)
	}
	group := []measurement{
		{r, uniform, loop, []result{{Messages: 1000, Seconds: 1, CPU: 0.01, Mallocs: 61_000, Peak: 30 << 20}}},
		{r, uniform, crossfade, []result{{Messages: 1000, Seconds: 0.8, CPU: 0.005, Mallocs: 9_000, Peak: 40 << 20}}},
	}
	var b bytes.Buffer
	if err := routesTable([][]measurement{group}).print(&b); err != nil {
		t.Fatal(err)
	}
	want := `route                        keys     contestant  msg/s  ratio  CPU s/M  ratio  allocs/msg  peak MB
RabbitMQ quorum → JetStream  uniform  loop         1000   1.00     10.0   1.00        61.0       30
RabbitMQ quorum → JetStream  uniform  crossfade    1250   1.25      5.0   0.50         9.0       40
`
	if b.String() != want {
		t.Errorf("printed\n%swant\n%s", b.String(), want)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, s := range []settings{
		{messages: 0, memory: 1, rounds: 1},
		{messages: 1, memory: 0, rounds: 1},
		{messages: 1, memory: 1, rounds: 0},
		{messages: 1, memory: 1, rounds: 1, rest: -1},
		{messages: 1, memory: 1, rounds: 1, only: "memory,nowhere"},
	} {
		if err := s.run(t.Context(), &bytes.Buffer{}); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}

func TestUnknownContestant(t *testing.T) {
	if _, err := (job{Contestant: "nobody"}).run(t.Context()); err == nil || !strings.Contains(err.Error(), "no contestant") {
		t.Errorf("run = %v", err)
	}
}

func TestMemory(t *testing.T) {
	var out, progress bytes.Buffer
	s := settings{messages: 1, memory: 20_000, rounds: 1, only: "memory", out: &progress}
	if err := s.run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 5 {
		t.Errorf("printed %d lines:\n%s", lines, &out)
	}
}

// Every route and every contestant, with real brokers, at a size that says
// nothing about speed.
func TestRoutes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	t.Setenv("CROSSFADE_TEST_AMQP", private.RabbitMQ(t))
	t.Setenv("CROSSFADE_TEST_NATS", private.NATS(t))
	t.Setenv("CROSSFADE_TEST_KAFKA", private.Kafka(t))
	var out, progress bytes.Buffer
	s := settings{messages: 3000, memory: 1, rounds: 1, only: strings.Join(routeNames(), ","), out: &progress}
	if err := s.run(ctx, &out); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, r := range routes {
		for _, k := range []keys{uniform, zipf} {
			for _, c := range r.contestants {
				if want := fmt.Sprintf("%s  %-7s  %s", r.title, k, c); !strings.Contains(strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(want), " ")) {
					t.Errorf("no line for %q in\n%s", want, &out)
				}
			}
		}
	}
	t.Logf("\n%s", &out)
}
