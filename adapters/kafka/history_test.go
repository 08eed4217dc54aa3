package kafka

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestDiverges(t *testing.T) {
	for _, x := range []struct {
		what string
		a    epochAnswer
		f    feed
		want bool
	}{
		{"the leader that wrote it is still there", epochAnswer{epoch: 3, end: 10}, feed{last: 3, epoch: 3, next: 10}, false},
		{"it has written more", epochAnswer{epoch: 3, end: 15}, feed{last: 3, epoch: 3, next: 10}, false},
		{"another one followed", epochAnswer{epoch: 3, end: 10}, feed{last: 3, epoch: 4, next: 10}, false},
		{"the other one was behind", epochAnswer{epoch: 3, end: 9}, feed{last: 3, epoch: 4, next: 10}, true},
		{"and had nothing of it", epochAnswer{epoch: 2, end: 9}, feed{last: 3, epoch: 4, next: 10}, true},
		{"in front of the position is an older one of that", epochAnswer{epoch: 2, end: 9}, feed{last: 3, epoch: 4, next: 9}, true},
		{"the leader keeps no epochs", epochAnswer{epoch: -1, end: -1}, feed{last: 3, epoch: 4, next: 10}, false},
		{"the leader is older than the record", epochAnswer{epoch: -1, end: -1}, feed{last: 3, epoch: 2, next: 10}, true},
	} {
		if got := x.a.diverges(&x.f); got != x.want {
			t.Errorf("%s: %v", x.what, got)
		}
	}
}

func TestEpochsAsKmsgHasThem(t *testing.T) {
	want := kmsg.OffsetForLeaderEpochRequest{Version: epochsVersion, ReplicaID: -1, Topics: []kmsg.OffsetForLeaderEpochRequestTopic{
		{Topic: "a", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: 1, CurrentLeaderEpoch: 7, LeaderEpoch: 3}, {Partition: 2, CurrentLeaderEpoch: 8, LeaderEpoch: 4}}},
		{Topic: "b", Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{{Partition: 0, CurrentLeaderEpoch: -1, LeaderEpoch: 5}}},
	}}
	got := appendEpochs(nil, []epochQuestion{{"a", 1, 7, 3}, {"a", 2, 8, 4}, {"b", 0, -1, 5}})
	if !bytes.Equal(got, want.AppendTo(nil)) {
		t.Errorf("%x, want %x", got, want.AppendTo(nil))
	}
	res := kmsg.OffsetForLeaderEpochResponse{Version: epochsVersion, ThrottleMillis: 9, Topics: []kmsg.OffsetForLeaderEpochResponseTopic{
		{Topic: "a", Partitions: []kmsg.OffsetForLeaderEpochResponseTopicPartition{{ErrorCode: 6, Partition: 1, LeaderEpoch: -1, EndOffset: -1}, {Partition: 2, LeaderEpoch: 4, EndOffset: 77}}},
	}}
	body := res.AppendTo(nil)
	answers, err := readEpochs(body)
	if err != nil || len(answers) != 2 || answers[0] != (epochAnswer{"a", 1, 6, -1, -1}) || answers[1] != (epochAnswer{"a", 2, 0, 4, 77}) {
		t.Errorf("%+v, %v", answers, err)
	}
	for cut := range body {
		if _, err := readEpochs(body[:cut]); err == nil {
			t.Fatalf("read without its last %d octets", len(body)-cut)
		}
	}
}
