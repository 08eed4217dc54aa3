package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A report collects findings.
type report struct{ findings []bridge.Finding }

func (r *report) add(level bridge.Level, subject, text, hint string) {
	r.findings = append(r.findings, bridge.Finding{Level: level, Subject: subject, Text: text, Hint: hint})
}

// fails adds what err says, if it is not nil.
func (r *report) fails(subject string, err error) bool {
	if err == nil {
		return false
	}
	hint := bridge.HintOf(err)
	if hint == "" {
		hint = "Make sure that the broker runs and is ready, and try again."
	}
	r.add(bridge.Fail, subject, err.Error(), hint)
	return true
}

// look opens a connection for a check and says what it found.
func (s *system) look(ctx context.Context, r *report, f func(context.Context, *session)) {
	subject := "broker " + s.name
	err := s.setUp(ctx, "check "+s.name, func(ctx context.Context, n *session) error {
		defer n.close()
		r.add(bridge.Pass, subject, fmt.Sprintf("cluster %q, RabbitMQ %s, user %s", n.broker.cluster, n.broker.version, n.user), "")
		if n.broker.cluster == "" {
			r.add(bridge.Warn, subject, "the broker gives its cluster no name", "Origins are told apart by the cluster's name: set it (rabbitmqctl set_cluster_name).")
		}
		r.fails("permissions", mayDeclare(n))
		f(ctx, n)
		return nil
	})
	r.fails(subject, err)
}

// mayDeclare makes sure that the user may make things with names of the
// bridge's own. The queue is the connection's and ends with it.
func mayDeclare(n *session) error {
	err := n.do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(ownName("check", token()), false, true, true, false, amqp.Table{"x-queue-type": typeClassic})
		return err
	})
	return setupError("make a queue named "+namePrefix+".…", err)
}

// Check looks at the incumbent.
func (o *sourceOpener) Check(ctx context.Context) []bridge.Finding {
	r := &report{}
	o.system.look(ctx, r, func(_ context.Context, n *session) {
		switch {
		case o.settings.Tap == tapQueue:
			o.checkQueue(r, n)
		case o.settings.Stream != "":
			r.existing(n, o.tap, typeStream)
		default:
			names, keys := o.tapped()
			for _, name := range names {
				o.checkTapped(r, n, name, keys[name])
			}
			o.checkTap(r, n)
		}
	})
	return r.findings
}

// checkQueue looks at an application's queue.
func (o *sourceOpener) checkQueue(r *report, n *session) {
	q, err := n.queueArguments(o.tap)
	subject := "queue " + o.tap
	if r.fails(subject, setupError(subject, err)) {
		return
	}
	r.add(bridge.Pass, subject, fmt.Sprintf("%s, %d messages ready, %d consumers", orUnknown(q.kind()), q.ready, q.consumers), "")
	r.add(bridge.Warn, subject, "the relay competes with its consumers", "Use bindings unless the queue has no other use.")
	if q.consumers > 0 {
		r.add(bridge.Warn, subject, "it has consumers: each message goes to one of them or to the relay, and order does not hold", "Stop the other consumers first.")
	}
}

func orUnknown(kind string) string {
	if kind == "" {
		return "type unknown"
	}
	return kind
}

// existing looks at a queue or stream that has to be of one type.
func (r *report) existing(n *session, name, want string) {
	subject := want + " " + name
	if want != typeStream {
		subject = want + " queue " + name
	}
	q, err := n.queueArguments(name)
	if r.fails(subject, setupError(subject, err)) {
		return
	}
	switch kind := q.kind(); kind {
	case want:
		r.add(bridge.Pass, subject, "is there", "")
	case "":
		r.add(bridge.Warn, subject, "is there; its type cannot be found out", "Make sure that it is as configured: what may be on its way at a time depends on it.")
	default:
		r.add(bridge.Fail, subject, "is a "+kind+" queue", "Correct type in the configuration.")
	}
	if overflow, _ := q.arguments["x-overflow"].(string); strings.HasPrefix(overflow, "reject-publish") {
		r.add(bridge.Warn, subject, "at its limit it refuses messages ("+overflow+")", "One refused in the middle of others breaks their order: let it drop, or give it no limit.")
	}
}

// checkTap says what a tap of the bridge's own does to the incumbent.
func (o *sourceOpener) checkTap(r *report, n *session) {
	subject := o.settings.Tap + " tap " + o.tap
	if _, err := n.passive(o.tap); err == nil {
		r.add(bridge.Pass, subject, "is there", "")
	} else if missing(err) {
		r.add(bridge.Warn, subject, "is not there yet: what waits in the application's queues when it is made is not copied", "Start the relay before the time from which everything has to be copied.")
	} else {
		r.fails(subject, setupError(subject, err))
	}
	r.add(bridge.Warn, subject, "is part of every confirm that the producers get, and takes disk up to its bounds: "+o.bounds(), "Watch its length; at its bound the oldest messages are a gap.")
	if o.settings.Tap == typeStream {
		r.add(bridge.Warn, subject, sourceAccepts[acceptHeaders]+" (accepted: "+acceptHeaders+")", "Use tap: quorum or classic if any producer sets such headers.")
	}
	if k, has := o.priorityRisk(n.broker); has {
		k.report(r, subject, o.settings.Accept)
	}
}

func (o *sourceOpener) bounds() string {
	b := fmt.Sprintf("%d octets", o.settings.MaxBytes)
	if o.settings.MaxLength > 0 {
		b += fmt.Sprintf(", %d messages", o.settings.MaxLength)
	}
	if o.settings.MaxAge > 0 {
		b += fmt.Sprintf(", %v", o.settings.MaxAge)
	}
	return b
}

// checkTapped looks at an exchange that is to be tapped.
func (o *sourceOpener) checkTapped(r *report, n *session, name string, keys []string) {
	subject := "exchange " + name
	kind, alternate, err := n.exchangeKind(name)
	if r.fails(subject, setupError(subject, err)) {
		return
	}
	risks := exchangeRisks(kind, alternate, keys)
	for _, k := range risks {
		k.report(r, subject, o.settings.Accept)
	}
	if len(risks) == 0 {
		r.add(bridge.Pass, subject, kind, "")
	}
	if kind == "headers" {
		r.add(bridge.Warn, subject, "a producer that publishes as mandatory is no longer told of messages that only the tap matches", "Bind the tap with arguments that the application binds too.")
	}
}

// exchangeKind finds out an exchange's type, and whether it names an alternate
// exchange in its arguments. A declaration that differs is answered with the
// difference.
func (n *session) exchangeKind(name string) (kind string, alternate bool, err error) {
	if err := n.exchange(name); err != nil {
		return "", false, err
	}
	ask, durable := "headers", true
	for range 4 {
		err := n.do(func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare(name, ask, durable, false, false, false, nil)
		})
		argument, value, ok := difference(err)
		switch {
		case err == nil:
			return ask, false, nil
		case !ok && (hasCode(err, codeRefused) || hasCode(err, codePrecondition)):
			return "", false, nil // it will not tell this user, or in words that are not known here
		case !ok:
			return "", false, err
		case argument == "durable":
			durable = false
		case argument == "type":
			text, _ := value.(string)
			if !copies(text) {
				return text, false, nil // its type may ask for arguments
			}
			ask = text
		case argument == "alternate-exchange":
			return ask, true, nil
		default:
			return ask, false, nil
		}
	}
	return "", false, nil
}

// Check looks at the candidate.
func (o *sinkOpener) Check(ctx context.Context) []bridge.Finding {
	r := &report{}
	o.system.look(ctx, r, func(_ context.Context, n *session) {
		o.limit.assume(n.broker.maxMessage())
		if o.target.kind == toExchange {
			o.checkExchange(r, n)
		} else {
			r.existing(n, o.target.queue, o.target.kind)
		}
		r.add(bridge.Pass, "limits", fmt.Sprintf("bodies up to %d octets, headers up to %d", o.limit.octets(), n.conn.Config.FrameSize-frameOverhead), "")
	})
	return r.findings
}

func (o *sinkOpener) checkExchange(r *report, n *session) {
	subject := "exchange " + o.target.exchange
	kind, alternate, err := n.exchangeKind(o.target.exchange)
	if r.fails(subject, setupError(subject, err)) {
		return
	}
	r.add(bridge.Pass, subject, "is there ("+orUnknown(kind)+")", "")
	if alternate {
		alternateRisk().report(r, subject, o.accept)
	}
	if !o.target.persistent {
		r.add(bridge.Warn, subject, "persistent: false keeps transient messages transient: they are lost when a classic queue's node restarts", "")
	}
}
