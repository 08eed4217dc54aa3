package rabbitmq

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A queueFound is what is known of an existing queue.
type queueFound struct {
	ready     int
	consumers int
	durable   bool
	unknown   bool // the arguments could not be found out
	arguments amqp.Table
}

// kind is the queue's type, or "" if it could not be found out.
func (q queueFound) kind() string {
	if q.unknown {
		return ""
	}
	if t, ok := q.arguments["x-queue-type"].(string); ok && t != "" {
		return t
	}
	return typeClassic
}

// noSuchType is a queue type that no broker has: a declaration with it creates
// nothing, and of an existing queue the broker says what it is instead.
const noSuchType = "crossfade-none"

// inequivalent is how RabbitMQ names the first difference between a queue or
// exchange and a declaration of it.
var inequivalent = regexp.MustCompile(`inequivalent arg '([^']+)' for (?:queue|exchange) .* (?:received|but) .*current is (?:the value )?(?:''([^']+)''|'(.*?)'(?: of type '(\w+)')?|(none))`)

// queueArguments asks the broker for the type and arguments of a queue. AMQP has
// no method for it, but a declaration that differs is answered with the first
// difference, so repeating it with what was learnt ends at the type.
func (n *session) queueArguments(name string) (queueFound, error) {
	q := queueFound{durable: true, arguments: amqp.Table{}}
	state, err := n.passive(name)
	if err != nil {
		return q, err
	}
	q.ready, q.consumers = state.Messages, state.Consumers
	ask := amqp.Table{"x-queue-type": noSuchType}
	for range 24 {
		err := n.do(func(ch *amqp.Channel) error {
			_, err := ch.QueueDeclare(name, q.durable, false, false, false, ask)
			return err
		})
		argument, value, ok := difference(err)
		switch {
		case !ok && (err == nil || hasCode(err, codePrecondition)):
			q.unknown = true // in words that this version of the adapter cannot read
			return q, nil
		case !ok:
			return q, err
		case argument == "durable":
			q.durable = false
		case argument == "auto_delete" || argument == "exclusive":
			return q, fmt.Errorf("queue %s is %s: a relay needs one that stays", name, argument)
		case argument == "x-queue-type":
			if value != nil {
				q.arguments[argument] = value
			}
			return q, nil
		default:
			q.arguments[argument] = value
			ask[argument] = value
		}
	}
	q.unknown = true
	return q, nil
}

// difference reads what the broker said to a declaration that differs.
func difference(err error) (argument string, value any, ok bool) {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != codePrecondition {
		return "", nil, false
	}
	found := inequivalent.FindStringSubmatch(e.Reason)
	if found == nil {
		return "", nil, false
	}
	argument, quoted, text, kind, none := found[1], found[2], found[3], found[4], found[5]
	switch {
	case none != "":
		return argument, nil, true
	case quoted != "": // types of exchanges that plugins bring are quoted twice
		return argument, quoted, true
	case kind == "longstr":
		return argument, text, true
	}
	if number, err := strconv.ParseInt(text, 10, 64); err == nil {
		return argument, number, true
	}
	switch text {
	case "true":
		return argument, true, true
	case "false":
		return argument, false, true
	}
	return argument, text, true
}

// passive asks whether a queue is there, without declaring it.
func (n *session) passive(name string) (q amqp.Queue, err error) {
	err = n.do(func(ch *amqp.Channel) error {
		q, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
		return err
	})
	return q, err
}

// exchange asks whether an exchange is there.
func (n *session) exchange(name string) error {
	return n.do(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(name, "direct", true, false, false, false, nil)
	})
}

// declare makes a durable queue.
func (n *session) declare(name string, arguments amqp.Table) error {
	return n.do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, true, false, false, false, arguments)
		return err
	})
}
