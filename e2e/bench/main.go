package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"github.com/crossfade-mq/crossfade/bridge"
)

var contestants map[string]func(context.Context, job, *watch) error

func init() {
	contestants = map[string]func(context.Context, job, *watch) error{
	"memory 1": memoryRelay(1, bridge.SurvivesPrefix),
	"memory 4": memoryRelay(4, bridge.SurvivesPrefix),
	"memory any": memoryRelay(1, bridge.SurvivesAny),
	"bare": bareRelay,
}
}

func main() {
	if t := os.Getenv(jobVariable); t != "" {
		if err := work(t); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	n := flag.Int("n", 500000, "")
	p := flag.String("p", "", "")
	c := flag.String("c", "", "")
	flag.Parse()
	for _, name := range []string{"bare", "memory 1", "memory 4", "memory any"} {
		if *c != "" && *c != name { continue }
		for range 3 {
			r, err := job{Contestant: name, Messages: *n, Bridge: "b", Relay: "r", Profile: *p}.run(context.Background(), "GOMAXPROCS=1")
			fmt.Printf("%-12s %8.0f msg/s  cpu %.2f s/M  allocs %.3f  peak %d MB %v\n", name, float64(r.Messages)/r.Seconds, r.CPU/float64(r.Messages)*1e6, float64(r.Mallocs)/float64(r.Messages), r.Peak>>20, err)
		}
	}
}
