package nats

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A binary is a nats-server in a process of its own, on a port and in a folder of
// its own.
type binary struct {
	path, dir string
	port      int
	cmd       *exec.Cmd
}

// startBinary builds the server of the pinned module version and starts it.
func startBinary(t *testing.T) *binary {
	t.Helper()
	b := &binary{path: filepath.Join(t.TempDir(), "nats-server"), dir: t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", b.path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	b.start(t)
	t.Cleanup(b.kill)
	return b
}

func (b *binary) start(t *testing.T) {
	t.Helper()
	b.cmd = exec.Command(b.path, "-js", "-sd", b.dir, "-a", "127.0.0.1", "-p", fmt.Sprint(b.port))
	log, err := b.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "Server is ready") {
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
	}
	t.Fatalf("nats-server ended: %v", b.cmd.Wait())
}

// kill is kill -9.
func (b *binary) kill() {
	if b.cmd.ProcessState == nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	}
}

// A minimal relay over the contract: fence, recall, receive, send, acknowledge.
// One life ends with any error; nothing is kept from one to the next.
func liveOnce(ctx context.Context, from bridge.SourceOpener, to bridge.SinkOpener) error {
	source, err := from.Open(ctx)
	if err != nil {
		return err
	}
	defer source.Close()
	sink, err := to.Open(ctx)
	if err != nil {
		return err
	}
	defer sink.Close()
	settled := make(chan int, 4096)
	failed := make(chan error, 1)
	l, err := sink.Open(ctx, 0, func(n int, _ []bridge.Placement, err error) {
		if err != nil {
			failed <- err
			return
		}
		settled <- n
	})
	if err != nil {
		return err
	}
	defer l.Close()
	placed := map[bridge.ID]bool{}
	if err := sink.(bridge.Recaller).Recall(ctx, 0, 4096, func(p bridge.Placed) bool { placed[p.ID] = true; return true }); err != nil {
		return err
	}
	if err := source.(bridge.Holder).Hold(ctx); err != nil {
		return err
	}
	for {
		into := make([]bridge.Delivery, 256)
		n, err := source.Receive(ctx, into)
		if err != nil {
			return err
		}
		var msgs []*bridge.Message
		for i := range into[:n] {
			d := &into[i]
			h, _ := d.Header("Nats-Msg-Id")
			d.Key, d.ID = d.Address.Name, bridge.ID{Value: string(h.Value)}
			if !placed[d.ID] {
				msgs = append(msgs, &d.Message)
			}
		}
		if _, err := l.Send(ctx, msgs); err != nil {
			return err
		}
		for open := len(msgs); open > 0; {
			select {
			case k := <-settled:
				open -= k
			case err := <-failed:
				return err
			}
		}
		if err := source.Ack(ctx, receipts(into[:n])); err != nil {
			return err
		}
	}
}

// One server holds source, checkpoint and target, and is killed under load: every
// message is in the target once and in order, at the smallest duplicates window,
// so that it is fence and recall that see to it.
func TestKillTheServer(t *testing.T) {
	const total, kills = 60000, 4
	srv := startBinary(t)
	url := fmt.Sprintf("nats://127.0.0.1:%d", srv.port)
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	makeStream(t, js, jetstream.StreamConfig{Name: "A", Subjects: []string{"a.>"}})
	makeStream(t, js, jetstream.StreamConfig{Name: "B", Subjects: []string{"b.>"}, Duplicates: 100 * time.Millisecond})
	for i := range total {
		m := &nats.Msg{Subject: fmt.Sprintf("a.%d", i%100), Data: fmt.Append(nil, i), Header: nats.Header{"Nats-Msg-Id": {fmt.Sprint(i)}}}
		if i%1000 == 999 {
			_, err = js.PublishMsg(t.Context(), m)
		} else {
			err = nc.PublishMsg(m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	sys, err := Adapter().System("test", decoded(SystemConfig{URL: url}))
	if err != nil {
		t.Fatal(err)
	}
	s := sys.(*system)
	from := s.from(t, SourceConfig{Stream: "A"})
	to := s.to(t, SinkConfig{Stream: "B", Subject: "b.{token:2}", AckTimeout: 2 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for {
			err := liveOnce(ctx, from, to)
			if ctx.Err() != nil || bridge.ClassOf(err) == bridge.Stopping {
				ended <- err
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()

	copied := func() (n uint64) {
		if stream, err := js.Stream(t.Context(), "B"); err == nil {
			n = stream.CachedInfo().State.Msgs
		}
		return n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	deadline := time.Now().Add(90 * time.Second)
	for killed := 0; copied() < total; {
		if killed < kills && copied() > uint64(killed+1)*total/(kills+2)+uint64(random.IntN(500)) {
			srv.kill()
			srv.start(t)
			killed++
		}
		if len(ended) > 0 || time.Now().After(deadline) {
			t.Fatalf("%d of %d after %d kills; relay: %v", copied(), total, killed, len(ended))
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-ended
	if state := streamInfo(t, js, "B").State; state.Msgs != total || state.LastSeq != total {
		t.Errorf("the target holds %d messages up to %d, want %d", state.Msgs, state.LastSeq, total)
	}
	inOrder(t, js, "B", total)
}

func streamInfo(t *testing.T, js jetstream.JetStream, name string) *jetstream.StreamInfo {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo()
}

// inOrder reads the stream with the client's own ordered consumer.
func inOrder(t *testing.T, js jetstream.JetStream, stream string, total int) {
	t.Helper()
	c, err := js.OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	for i := range total {
		m, err := msgs.Next()
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data()) != fmt.Sprint(i) || m.Subject() != fmt.Sprintf("b.%d", i%100) {
			t.Fatalf("message %d is %s at %s", i, m.Data(), m.Subject())
		}
	}
}
