package nats

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Check is as bridge.Checker says.
func (o *SourceOpener) Check(ctx context.Context) []bridge.Finding {
	p := o.system.inspect(ctx, o.id)
	if p.conn == nil {
		return p.findings
	}
	defer p.conn.Close()
	api := p.conn.api
	p.permissions(ctx, needs{
		publish: []string{
			api + "STREAM.INFO." + o.config.Stream, api + "CONSUMER.CREATE." + o.config.Stream + ".>", api + "CONSUMER.MSG.NEXT." + o.config.Stream + ".>",
			api + "CONSUMER.INFO." + o.config.Stream + ".*", api + "CONSUMER.DELETE." + o.config.Stream + ".>", api + "STREAM.MSG.GET." + o.config.Stream,
			api + "STREAM.INFO." + checkpointStream(o.id.Bridge), api + "STREAM.CREATE." + checkpointStream(o.id.Bridge), api + "STREAM.MSG.GET." + checkpointStream(o.id.Bridge),
			checkpointSubject(o.id), ownerSubject(o.id),
		},
		subscribe: []string{"_INBOX.>", ownerSubject(o.id)},
	})
	if p.jetstream(ctx) {
		if info := p.tapped(ctx, &o.config); info != nil {
			p.progress(ctx, o, info)
		}
	}
	return p.findings
}

// Check is as bridge.Checker says.
func (o *SinkOpener) Check(ctx context.Context) []bridge.Finding {
	p := o.system.inspect(ctx, o.id)
	if p.conn == nil {
		return p.findings
	}
	defer p.conn.Close()
	api := p.conn.api
	p.permissions(ctx, needs{
		publish: []string{
			wildcard(o.config.template), api + "STREAM.INFO." + o.config.Stream, api + "CONSUMER.CREATE." + o.config.Stream + ".>",
			api + "CONSUMER.MSG.NEXT." + o.config.Stream + ".>", api + "CONSUMER.DELETE." + o.config.Stream + ".>",
		},
		subscribe: []string{"_INBOX.>"},
	})
	if p.jetstream(ctx) {
		p.target(ctx, &o.config)
	}
	return p.findings
}

// Check is as bridge.Checker says.
func (o *coreSourceOpener) Check(ctx context.Context) []bridge.Finding {
	p := o.system.inspect(ctx, o.id)
	if p.conn == nil {
		return p.findings
	}
	defer p.conn.Close()
	p.permissions(ctx, needs{subscribe: o.config.Subjects})
	p.warn("core NATS", "at most once: what is published while the bridge is away is not copied", "Tap a stream where that matters.")
	return p.findings
}

// Check is as bridge.Checker says.
func (o *coreSinkOpener) Check(ctx context.Context) []bridge.Finding {
	p := o.system.inspect(ctx, o.id)
	if p.conn == nil {
		return p.findings
	}
	defer p.conn.Close()
	p.permissions(ctx, needs{publish: []string{wildcard(o.config.template)}})
	p.warn("core NATS", "at most once: settled means that the server has read a message, whether or not anybody hears it", "Write into a stream where that matters.")
	p.sizes(0)
	return p.findings
}

// A preflight collects findings about one system.
type preflight struct {
	system   *system
	conn     *connection // nil if there is none
	findings []bridge.Finding
}

// inspect connects.
func (s *system) inspect(ctx context.Context, id bridge.Identity) *preflight {
	p := &preflight{system: s}
	conn, err := s.connect(ctx, "crossfade "+id.String()+" check")
	if err != nil {
		p.failed("connection", err, "Is the server up, and the url right?")
		return p
	}
	p.conn = conn
	name := conn.ConnectedServerName()
	if cluster := conn.ConnectedClusterName(); cluster != "" {
		name += " of cluster " + cluster
	}
	p.pass("connection", fmt.Sprintf("%s, nats-server %s, at %s", name, conn.ConnectedServerVersion(), redacted(conn.ConnectedUrl())))
	return p
}

func (p *preflight) add(level bridge.Level, subject, text, hint string) {
	p.findings = append(p.findings, bridge.Finding{Level: level, Subject: subject, Text: text, Hint: hint})
}
func (p *preflight) pass(subject, text string)       { p.add(bridge.Pass, subject, text, "") }
func (p *preflight) warn(subject, text, hint string) { p.add(bridge.Warn, subject, text, hint) }

// failed adds an error, whose own hint is preferred.
func (p *preflight) failed(subject string, err error, hint string) {
	if h := bridge.HintOf(err); h != "" {
		hint = h
	}
	p.add(bridge.Fail, subject, err.Error(), hint)
}

func (p *preflight) jetstream(ctx context.Context) bool {
	info, err := p.conn.js.AccountInfo(ctx)
	if err != nil {
		p.failed("jetstream", p.conn.failed(ctx, "jetstream", err), "Enable JetStream on the server (jetstream: enabled) and for the account.")
		return false
	}
	text := fmt.Sprintf("enabled, %d streams, %d octets on disk", info.Streams, info.Store)
	if most := info.Limits.MaxStore; most > 0 && info.Store > uint64(most)/10*9 {
		p.warn("jetstream", fmt.Sprintf("%s of %d that the account may use", text, most), "Raise the account's limit, or shorten what is kept.")
	} else {
		p.pass("jetstream", text)
	}
	return true
}

// tapped looks at the stream of a source.
func (p *preflight) tapped(ctx context.Context, c *SourceConfig) *jetstream.StreamInfo {
	subject := "stream " + c.Stream
	info, err := p.conn.tapped(ctx, c)
	if err != nil {
		p.failed(subject, err, "")
		return nil
	}
	p.pass(subject, fmt.Sprintf("%d messages from %d to %d, %s", info.State.Msgs, info.State.FirstSeq, info.State.LastSeq, replicas(&info.Config)))
	for _, f := range c.Subjects {
		if !overlapsAny(info.Config.Subjects, f) && info.Config.Mirror == nil && len(info.Config.Sources) == 0 {
			p.warn(subject, fmt.Sprintf("nothing that it takes (%s) falls under %q", strings.Join(info.Config.Subjects, ", "), f), "Is the filter right?")
		}
	}
	if most := info.Config.MaxConsumers; most > 0 {
		p.warn(subject, fmt.Sprintf("it takes %d consumers at most and has %d; the tap is one more, as accepted", most, info.State.Consumers), "Raise max_consumers if the application makes consumers of its own.")
	}
	p.limits(subject, &info.Config)
	return info
}

func overlapsAny(subjects []string, filter string) bool {
	for _, s := range subjects {
		if overlap(s, filter) {
			return true
		}
	}
	return false
}

// limits says what may go before it is read.
func (p *preflight) limits(subject string, c *jetstream.StreamConfig) {
	if c.MaxMsgsPerSubject > 0 {
		p.warn(subject, fmt.Sprintf("it keeps %d messages of a subject (max_msgs_per_subject): what is overwritten before the relay reads it is not copied, and nothing can tell", c.MaxMsgsPerSubject),
			"Raise the limit while you migrate if every message counts.")
	}
	var limits []string
	if c.MaxMsgs > 0 {
		limits = append(limits, fmt.Sprintf("max_msgs %d", c.MaxMsgs))
	}
	if c.MaxBytes > 0 {
		limits = append(limits, fmt.Sprintf("max_bytes %d", c.MaxBytes))
	}
	if c.MaxAge > 0 {
		limits = append(limits, fmt.Sprintf("max_age %v", c.MaxAge))
	}
	if len(limits) > 0 {
		p.pass(subject, "a relay that lags behind "+strings.Join(limits, ", ")+" stops at the gap and says so")
	}
}

// progress looks at the relay's checkpoint, without making or changing one.
func (p *preflight) progress(ctx context.Context, o *SourceOpener, info *jetstream.StreamInfo) {
	subject := "checkpoint " + checkpointSubject(o.id)
	name, err := p.conn.js.StreamNameBySubject(ctx, checkpointSubject(o.id))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		p.begins(ctx, subject, info, &o.config.Start)
		return
	case err != nil:
		p.failed(subject, p.conn.failed(ctx, subject, err), "")
		return
	case name != checkpointStream(o.id.Bridge):
		p.failed(subject, fmt.Errorf("stream %s takes this subject", name), "The subjects crossfade.> are the bridge's; take them out of that stream.")
		return
	}
	point, m, found, err := p.conn.readCheckpoint(ctx, o.id)
	switch {
	case err != nil:
		p.failed(subject, err, "")
	case !found:
		p.begins(ctx, subject, info, &o.config.Start)
	case madeAgain(&o.config, info, m):
		p.warn(subject, fmt.Sprintf("it is of a stream of that name created at %s; the relay will begin at the first message of this one, created at %s, as accepted", made(m.Created), made(info.Created)), "")
	default:
		s := &source{conn: p.conn, cfg: o.config, info: info}
		if err := s.verify(ctx, point, m); err != nil {
			p.failed(subject, err, "")
		} else {
			p.pass(subject, fmt.Sprintf("settled up to %d; %d sequences behind", m.Floor, info.State.LastSeq-m.Floor))
		}
	}
}

// target looks at the stream of a sink.
func (p *preflight) target(ctx context.Context, c *SinkConfig) {
	subject := "stream " + c.Stream
	stream, err := p.conn.js.Stream(ctx, c.Stream)
	if err != nil {
		hint := ""
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			hint = "Create it first: " + createCommand(c) + "."
		}
		p.failed(subject, p.conn.failed(ctx, subject, err), hint)
		return
	}
	info := stream.CachedInfo()
	cfg := &info.Config
	if wrong, hint := unfit(cfg, c); wrong != "" {
		p.failed(subject, errors.New(wrong), hint)
		return
	}
	p.pass(subject, fmt.Sprintf("takes %s, %s, holds %d messages", strings.Join(cfg.Subjects, ", "), replicas(cfg), info.State.Msgs))
	if reachOf(c.template, cfg.Subjects) == reachSome {
		p.warn(subject, fmt.Sprintf("not every name that %q makes is among its subjects; messages with others are parked", c.Subject), fmt.Sprintf("Add %q to the stream.", wildcard(c.template)))
	}
	p.dedup(subject, cfg, c)
	p.recallable(subject, cfg, c)
	if cfg.Discard == jetstream.DiscardNew {
		p.pass(subject, "when it is full it refuses (discard new), and the relay waits")
	}
	if cfg.Replicas < 2 {
		p.warn(subject, "one replica: the server confirms before it syncs to disk, every 2 minutes by default, so a power failure may take back what was confirmed",
			"Set sync_interval: always, or use 3 replicas.")
	}
	p.sizes(int(cfg.MaxMsgSize))
}

// dedup compares the duplicates window with how long a message may be on its
// way.
func (p *preflight) dedup(subject string, cfg *jetstream.StreamConfig, c *SinkConfig) {
	if cfg.Duplicates >= c.AckTimeout {
		p.pass(subject, fmt.Sprintf("knows repeats for %v", cfg.Duplicates))
		return
	}
	text := fmt.Sprintf("it knows repeats for %v, shorter than the %v for which a message may be on its way (ack_timeout)", cfg.Duplicates, c.AckTimeout)
	if c.Shared || c.Consumed {
		p.warn(subject, text, "Set the duplicates window to 2m.")
	} else {
		p.pass(subject, text+"; the fence and recall make up for it")
	}
}

// recallable says where limits may take away what Recall wants to see.
func (p *preflight) recallable(subject string, cfg *jetstream.StreamConfig, c *SinkConfig) {
	if c.Consumed {
		p.warn(subject, "what was read is gone, so it cannot be read back, and earlier sessions are not kept out: after a crash the relay's debt may be there twice, with the same IDs", "Consumers have to tell repeats by Nats-Msg-Id.")
		return
	}
	short := func(what string) {
		p.warn(subject, what+": less than a relay may have to read back after a crash, and then repeats are possible", fmt.Sprintf("Keep at least %d messages and ten minutes.", maxRecall))
	}
	if cfg.MaxMsgs > 0 && cfg.MaxMsgs < maxRecall {
		short(fmt.Sprintf("it keeps %d messages (max_msgs)", cfg.MaxMsgs))
	}
	if cfg.MaxAge > 0 && cfg.MaxAge < 10*time.Minute {
		short(fmt.Sprintf("it keeps messages for %v (max_age)", cfg.MaxAge))
	}
}

// sizes says what is too large for the target; 0 is no limit of the stream's.
func (p *preflight) sizes(stream int) {
	most, what := int(p.conn.MaxPayload()), "max_payload of the server"
	if stream > 0 && stream < most {
		most, what = stream, "max_msg_size of the stream"
	}
	p.pass("size", fmt.Sprintf("bodies with headers up to %d octets (%s) and headers up to %d; what is larger is parked", most, what, maxHeader))
}

func replicas(c *jetstream.StreamConfig) string {
	if c.Replicas > 1 {
		return fmt.Sprintf("%d replicas", c.Replicas)
	}
	return "one replica"
}
