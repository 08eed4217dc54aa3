package draft

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/crossfade-mq/crossfade/bridge"
)

// fromKafka reads each topic by a group of the bridge's own.
func fromKafka(s *Side) (out []relay) {
	for i := range s.Objects {
		o := &s.Objects[i]
		if o.Role != bridge.RoleLog || o.Own {
			continue
		}
		r := relay{object: o, reason: o.Refusal}
		if r.reason == "" {
			r.from = []string{
				"topics: [" + quoted(o.Name) + "]",
				"# first copies all that the topic retains, now only what comes from now on.",
				"start: first",
			}
		}
		if _, compacted := o.Setting(bridge.MeaningPerKey); compacted {
			r.notes = append(r.notes, "It is compacted: what was removed before the relay reads it is not copied.")
		}
		out = append(out, r)
	}
	return out
}

var topicName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)

// toKafka writes into a topic of the same name where that can be one and is not
// taken, else into one of the relay's.
func toKafka(d *drafting, r *relay) {
	name := r.object.Name
	if !topicName.MatchString(name) || name == "." || name == ".." {
		name = r.name
	}
	try := name
	for i := 2; d.writes(try); i++ {
		try = fmt.Sprintf("%s-%d", name, i)
	}
	d.topics = append(d.topics, try)
	r.to = []string{
		"# plan makes it, with as many partitions as the cluster gives by itself unless create",
		"# says otherwise. More of them later move keys to other partitions.",
		"topic: " + quoted(try),
		"# create: {partitions: 8, replication: 3, configs: [min.insync.replicas=2]}",
	}
}

// writes says that a relay of the draft writes into that topic already.
func (d *drafting) writes(topic string) bool { return slices.Contains(d.topics, topic) }
