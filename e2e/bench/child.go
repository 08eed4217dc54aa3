package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"
)

// jobVariable carries a job to the process that does it.
const jobVariable = "CROSSFADE_BENCH_JOB"

// A job is one contestant's part of one round.
type job struct {
	Contestant string
	AMQP, NATS string // addresses
	Kafka      string // likewise
	Bridge     string // names everything that a relay makes at the brokers
	Relay      string
	Route      string
	From, To   string // queue or stream
	Messages   int
	Profile    string // a file for a CPU profile; empty is none
}

// A result is what a contestant reports of itself.
type result struct {
	Messages int
	Seconds  float64 // from the first delivery until all is acknowledged
	CPU      float64 // seconds of the process in that time, user and system
	Mallocs  uint64  // allocations in that time
	Peak     int64   // resident octets at most
}

// run does a job in a process of its own, with these additions to the
// environment.
func (j job) run(ctx context.Context, env ...string) (result, error) {
	var r result
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(append(os.Environ(), env...), jobVariable+"="+string(text))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig goes by the thread
	out, err := cmd.Output()
	runtime.UnlockOSThread()
	if err != nil {
		return r, fmt.Errorf("%s: %w: %s", j.Contestant, err, strings.TrimSpace(stderr.String()))
	}
	return r, json.Unmarshal(out, &r)
}

// work does the job that the environment holds and writes the result.
func work(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	do := contestants()[j.Contestant]
	if do == nil {
		return fmt.Errorf("there is no contestant %q", j.Contestant)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	w := &watch{profile: j.Profile}
	if err := do(ctx, j, w); err != nil {
		return err
	}
	if !w.ended {
		return errors.New("the contestant did not come to its end")
	}
	return json.NewEncoder(os.Stdout).Encode(w.result)
}

// A watch measures one contestant.
type watch struct {
	profile string
	file    *os.File
	once    sync.Once
	start   time.Time
	cpu     float64
	mallocs uint64
	ended   bool
	result  result
}

// begin starts the clock, once: at the first delivery.
func (w *watch) begin() {
	w.once.Do(func() {
		if w.profile != "" {
			var err error
			if w.file, err = os.Create(w.profile); err == nil {
				err = pprof.StartCPUProfile(w.file)
			}
			if err != nil {
				fmt.Fprintln(os.Stderr, "profile:", err)
			}
		}
		w.mallocs = mallocs()
		w.cpu = cpuSeconds()
		w.start = time.Now()
	})
}

// end stops it: n messages are copied and acknowledged.
func (w *watch) end(n int) {
	seconds := time.Since(w.start).Seconds()
	w.result = result{Messages: n, Seconds: seconds, CPU: cpuSeconds() - w.cpu, Mallocs: mallocs() - w.mallocs, Peak: peak()}
	w.ended = true
	if w.file != nil {
		pprof.StopCPUProfile()
		_ = w.file.Close()
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only a bad argument fails
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peak is the most memory that was resident, in octets; 0 where the system does
// not say. What getrusage says of that begins with the parent's.
func peak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0
	}
	return kib << 10
}
