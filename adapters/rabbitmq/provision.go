package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Provision is as bridge.Provisioner says. What is made is durable. It is not noted
// as the bridge's own, so it is the operator's and no removal finds it.
func (s *system) Provision(ctx context.Context, objects []bridge.Object) error {
	return s.setUp(ctx, "provision "+s.name, func(_ context.Context, n *session) error {
		defer n.close()
		for i := range objects {
			if err := n.provide(&objects[i]); err != nil {
				return setupError(fmt.Sprintf("make %s %s", objects[i].Kind, objects[i].Name), err)
			}
		}
		return nil
	})
}

// provide makes one thing. What is there is looked for first: a declaration that
// differs is an error to the broker.
func (n *session) provide(o *bridge.Object) error {
	switch o.Role {
	case bridge.RoleExchange:
		if err := n.exchange(o.Name); !missing(err) {
			return err
		}
		return n.do(func(ch *amqp.Channel) error {
			return ch.ExchangeDeclare(o.Name, strings.TrimSuffix(o.Kind, " exchange"), true, false, false, false, tableOf(o.Settings))
		})
	case bridge.RoleQueue, bridge.RoleLog:
		if _, err := n.passive(o.Name); !missing(err) {
			return err
		}
		arguments := tableOf(o.Settings)
		arguments["x-queue-type"] = strings.TrimSuffix(o.Kind, " queue")
		return n.declare(o.Name, arguments)
	case bridge.RoleBinding:
		return n.do(func(ch *amqp.Channel) error {
			if o.To == bridge.RoleExchange {
				return ch.ExchangeBind(o.Name, o.Key, o.From, false, tableOf(o.Settings))
			}
			return ch.QueueBind(o.Name, o.Key, o.From, false, tableOf(o.Settings))
		})
	}
	return fmt.Errorf("there is no %s at RabbitMQ", o.Kind)
}

func tableOf(settings []bridge.Setting) amqp.Table {
	t := amqp.Table{}
	for _, s := range settings {
		t[s.Name] = s.Value
	}
	return t
}
