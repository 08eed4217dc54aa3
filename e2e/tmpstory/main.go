package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	tap, n := os.Args[1], must(strconv.Atoi(os.Args[2]))
	kills := must(strconv.Atoi(os.Args[3]))
	aurl, nurl := os.Getenv("CROSSFADE_TEST_AMQP"), os.Getenv("CROSSFADE_TEST_NATS")
	ctx := context.Background()
	c := must(amqp.Dial(aurl))
	ch := must(c.Channel())
	name := fmt.Sprint("x", time.Now().UnixNano())
	if err := ch.ExchangeDeclare(name, "topic", true, false, false, false, nil); err != nil {
		panic(err)
	}
	js := must(jetstream.New(must(nats.Connect(nurl))))
	must(js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Duplicates: 100 * time.Millisecond}))
	cfg := fmt.Sprintf(`name: tmp
http: {listen: "127.0.0.1:7199"}
log: {level: warn, format: text}
systems:
  - {name: old, kind: rabbitmq, url: %q}
  - {name: new, kind: nats, url: %q}
relays:
  - name: %s
    from: {system: old, tap: %s, bindings: [{exchange: %s, routing_key: "#"}]}
    to: {system: new, stream: %s, subject: "%s.{routing_key}"}
`, aurl, nurl, name, tap, name, name, name)
	os.WriteFile("/tmp/tmp.yaml", []byte(cfg), 0o600)
	var proc *exec.Cmd
	start := func() {
		proc = exec.Command("/tmp/crossfade", "run", "-c", "/tmp/tmp.yaml")
		proc.Env = os.Environ()
		proc.Stderr, proc.Stdout = os.Stderr, os.Stderr
		if err := proc.Start(); err != nil {
			panic(err)
		}
	}
	start()
	time.Sleep(2 * time.Second)
	carries := ledger.CarriesAll
	if tap == "stream" {
		carries = ledger.CarriesStream
	}
	plan := ledger.NewPlan(ledger.Load{Seed: 1, Messages: n, Keys: ledger.Zipf10k, Carries: carries, Space: name})
	book := ledger.NewBook(plan)
	book.Subject = func(k string) string { return name + "." + k }
	var wg sync.WaitGroup
	t0 := time.Now()
	wg.Go(func() {
		if err := ledger.ProduceRabbitMQ(ctx, book, aurl, ledger.Pace{}); err != nil {
			panic(err)
		}
		fmt.Println("produced in", time.Since(t0))
	})
	for range kills {
		time.Sleep(time.Duration(300+rand.IntN(1500)) * time.Millisecond)
		proc.Process.Kill()
		proc.Wait()
		start()
	}
	wg.Wait()
	err := ledger.Collect(ctx, book, &ledger.NATSReader{URL: nurl, Stream: name}, 10*time.Second)
	fmt.Println("collected", time.Since(t0), err)
	out, _ := exec.Command("/tmp/crossfade", "status", "--addr", "127.0.0.1:7199").CombinedOutput()
	fmt.Println(string(out))
	fmt.Printf("%+v\n", book.Report())
	proc.Process.Signal(os.Interrupt)
	proc.Wait()
	js.DeleteStream(ctx, name)
}
