package draft

import (
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// fromNATS reads each stream by a consumer without acknowledgements.
func fromNATS(s *Side) (out []relay) {
	for i := range s.Objects {
		o := &s.Objects[i]
		if o.Role != bridge.RoleLog || o.Own {
			continue
		}
		r := relay{object: o}
		switch {
		case o.Kind != "stream":
			r.reason = "clients use it as a table or as a store of files, which other queue systems do not have; a relay can read its stream (stream: " + o.Name + ") where that is wanted"
		case o.Refusal != "":
			r.reason = o.Refusal
		default:
			if _, newest := o.Setting(bridge.MeaningPerKey); newest {
				r.notes = append(r.notes, "It keeps the newest messages of each subject only (max_msgs_per_subject): what is overwritten before the relay reads it is not copied, and nothing can tell.")
			}
			r.from = []string{
				"stream: " + quoted(o.Name),
				"# first copies all that the stream holds, now only what comes from now on.",
				"start: first",
			}
		}
		out = append(out, r)
	}
	return out
}

// toNATS writes into a stream whose subjects begin with a word of the relay's own,
// or are what they were where NATS is the incumbent too.
func toNATS(d *drafting, r *relay) {
	if d.from.Kind == "nats" {
		r.to = []string{"stream: " + quoted(r.object.Name), `subject: "{subject}"`}
		return
	}
	prefix := strings.ToLower(r.name)
	if taken(d.to, prefix) {
		prefix = strings.ToLower(d.free(prefix, func(p string) bool { return taken(d.to, p) }))
	}
	r.to = []string{
		"stream: " + quoted(strings.ToUpper(prefix)),
		"# One subject for each routing key; its dots stay, so wildcards still work.",
		`subject: "` + prefix + `.{address}"`,
	}
	if d.from.Kind == "kafka" {
		r.to[1], r.to[2] = "# One subject for each key; what a subject cannot have is written %XX.", `subject: "`+prefix+`.{key}"`
	}
}

// taken says that the candidate has the stream or the subjects of a prefix already,
// and not both.
func taken(to *Side, prefix string) bool {
	subjects := bridge.ExactPattern(prefix) + ".*.#"
	return slices.ContainsFunc(to.Objects, func(o bridge.Object) bool {
		if o.Role != bridge.RoleLog {
			return false
		}
		has := slices.ContainsFunc(o.Takes, subjects.Overlaps)
		return has != (o.Name == strings.ToUpper(prefix)) || has && !subjects.CoveredBy(o.Takes)
	})
}
