package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

// kafkaSession is after how long Kafka gives a member of a group up.
const kafkaSession = 6 * time.Second

// withKafka does something with the administration of a Kafka.
func withKafka(t testing.TB, url string, f func(context.Context, *kadm.Client) error) {
	t.Helper()
	client, err := ledger.DialKafka(url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f(ctx, kadm.NewClient(client)); err != nil {
		t.Fatal(err)
	}
}

// addTopic makes a topic for the time of the story.
func (s *scene) addTopic(name string) {
	s.t.Helper()
	s.makeTopic(name)
	s.t.Cleanup(func() {
		if err := ledger.DropTopic(context.Background(), s.kafka, name); err != nil {
			s.t.Errorf("drop topic: %v", err)
		}
	})
}

func (s *scene) makeTopic(name string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := ledger.MakeTopic(ctx, s.kafka, name, partitions); err != nil {
		s.t.Fatal(err)
	}
}

// group is the consumer group of a relay.
func (s *scene) group(r *relay) string { return fmt.Sprintf("crossfade.%s.%s", s.name, r.name) }

// sweepKafka removes what the bridge made at Kafka.
func (s *scene) sweepKafka() {
	s.t.Helper()
	if s.kafka == "" {
		return
	}
	withKafka(s.t, s.kafka, func(ctx context.Context, admin *kadm.Client) error {
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return err
		}
		var own []string
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, "crossfade.") && strings.Contains(name, s.name) {
				own = append(own, name)
			}
		}
		if len(own) > 0 {
			if _, err := admin.DeleteTopics(ctx, own...); err != nil {
				return err
			}
		}
		var groups []string
		for _, r := range s.relays {
			groups = append(groups, s.group(r))
		}
		_, err = admin.DeleteGroups(ctx, groups...) // one that still has a member stays
		return err
	})
}
