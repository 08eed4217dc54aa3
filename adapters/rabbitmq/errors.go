package rabbitmq

import (
	"errors"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Reply codes of AMQP 0-9-1 and RabbitMQ.
const (
	codeNoRoute      = 312
	codeRefused      = 403
	codeNotFound     = 404
	codeLocked       = 405
	codePrecondition = 406
	codeNotAllowed   = 530
)

// setupError classes an error of connecting, declaring, binding or subscribing.
// There the broker's word is about the configuration: it is Fatal with a hint,
// unless the broker says that it is only not ready.
func setupError(what string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("rabbitmq: %s: %w", what, err)
	var e *amqp.Error
	if !errors.As(err, &e) {
		return wrapped
	}
	if !e.Server && e != amqp.ErrSASL {
		return wrapped // the library's guess at why the broker hung up
	}
	switch e.Code {
	case codeRefused:
		return bridge.Fatal(wrapped, "Check the user name, the password and the user's permissions on the virtual host (rabbitmqctl list_user_permissions).")
	case codeNotFound:
		if notReady(e) {
			return wrapped
		}
		return bridge.Fatal(wrapped, "Create what is missing at the broker, or correct its name in the configuration.")
	case codeLocked:
		return wrapped
	case codePrecondition:
		if notReady(e) {
			return wrapped
		}
		return bridge.Fatal(wrapped, "It exists with other properties than the configuration asks for: correct the configuration, or delete it at the broker if it is the bridge's own.")
	case codeNotAllowed:
		if strings.Contains(e.Reason, "limit") || strings.Contains(e.Reason, "is down") {
			return wrapped
		}
		return bridge.Fatal(wrapped, "Check the virtual host in the URL and that the user may use it.")
	}
	return wrapped
}

// runError classes the error that ended a running session. All but a lack of
// permission is transient: opening again looks at the topology anew, and says
// what is wrong for good.
func runError(what string, err error) error {
	wrapped := fmt.Errorf("rabbitmq: %s: %w", what, err)
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == codeRefused {
		return bridge.Fatal(wrapped, "Check the user's permissions on the virtual host (rabbitmqctl list_user_permissions).")
	}
	return wrapped
}

// notReady tells a queue whose node or leader is not up from one that is not
// there, and a stream that was made a moment ago, or lives on other nodes only, from one
// with other properties: RabbitMQ has the same codes for both.
func notReady(e *amqp.Error) bool {
	for _, words := range []string{"home node", "inaccessible", "is down", "does not have a replica on the local node"} {
		if strings.Contains(e.Reason, words) {
			return true
		}
	}
	return false
}

// hasCode says whether err is the broker's reply with that code.
func hasCode(err error, code int) bool {
	var e *amqp.Error
	return errors.As(err, &e) && e.Code == code
}
