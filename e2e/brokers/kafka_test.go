package brokers

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaClient gives a client of the server for the time of the test.
func kafkaClient(t *testing.T, s *Server, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(u.Host), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func createTopic(t *testing.T, client *kgo.Client, name string) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 1, 1
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics, request.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{topic}, 30_000
	answer, err := request.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What Kafka has confirmed survives a stop and a kill under load, and the same
// clients go on at the same address.
func TestKafkaKeepsWhatItConfirmedThroughStopAndKillUnderLoad(t *testing.T) {
	s := PrivateKafka(t)
	client := kafkaClient(t, s, kgo.DefaultProduceTopic("kept"))
	createTopic(t, client, "kept")
	var confirmed atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for ctx.Err() == nil {
			client.Produce(ctx, kgo.SliceRecord([]byte("load")), func(_ *kgo.Record, err error) {
				if err == nil {
					confirmed.Add(1)
				}
			})
		}
	}()
	for _, end := range []func(context.Context) error{s.Kill, s.Stop, s.Kill} {
		before := confirmed.Load()
		eventually(t, startWithin, "confirming", func() bool { return confirmed.Load() > before+1000 })
		if err := errors.Join(end(t.Context()), s.Start(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	<-produced
	if err := client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := kafkaClient(t, s, kgo.ConsumeTopics("kept"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var read int64
	eventually(t, startWithin, "read as much as was confirmed", func() bool {
		read += int64(reader.PollFetches(t.Context()).NumRecords())
		return read >= confirmed.Load()
	})
}

// Whoever gets a server can use groups at once.
func TestKafkaAnswersWithACoordinator(t *testing.T) {
	u, err := url.Parse(Kafka(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := kafkaAnswers(u); err != nil {
		t.Error(err)
	}
	if err := kafkaAnswers(&url.URL{Host: "127.0.0.1:1"}); err == nil {
		t.Error("a Kafka answers where nobody listens")
	}
	other, err := url.Parse(NATS(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := kafkaAnswers(other); err == nil {
		t.Error("a NATS answers as a Kafka")
	}
}

func TestInstalledKafkaIsNotFetchedAgain(t *testing.T) {
	if err := kafkaInstalled(); err != nil {
		Missing(t, err)
	}
	var say bytes.Buffer
	if err := InstallKafka(t.Context(), &say); err != nil || say.Len() > 0 {
		t.Errorf("%v: %s", err, &say)
	}
	t.Setenv(envServers, t.TempDir())
	if err := kafkaInstalled(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("an empty folder has Kafka: %v", err)
	}
}

// Old Javas, and a machine without one, are told apart from what runs Kafka.
func TestKafkaNeedsAJavaThatIsNewEnough(t *testing.T) {
	for version, ok := range map[string]bool{
		`openjdk version "17.0.15" 2025-04-15`: true, `openjdk version "21" 2023-09-19`: true,
		`java version "1.8.0_202"`: false, `openjdk version "11.0.2" 2019-01-15`: false, "no words of it": false,
	} {
		dir := t.TempDir()
		script := "#!/bin/sh\necho '" + version + "' >&2\n"
		if err := os.WriteFile(filepath.Join(dir, "java"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir)
		if err := javaInstalled(); (err == nil) != ok {
			t.Errorf("%s: %v", version, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if err := kafkaInstalled(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without Java: %v", err)
	}
}

// A Maven that comes to a bad end leaves nothing that passes for a Kafka.
func TestAFailedFetchOfKafkaLeavesNothing(t *testing.T) {
	if err := kafkaInstalled(); err != nil {
		Missing(t, err)
	}
	dir, servers := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mvn"), []byte("#!/bin/sh\necho no network; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv(envServers, servers)
	err := InstallKafka(t.Context(), &bytes.Buffer{})
	if !errors.Is(err, ErrUnavailable) || !bytes.Contains([]byte(err.Error()), []byte("no network")) {
		t.Errorf("the error of Maven is not told: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(servers, "*/*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
