package rabbitmq

import (
	"errors"
	"regexp"
	"strconv"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A sizeLimit is the largest body that the broker takes. No method asks for it,
// so it is the configured one, else the default of the broker's version, until
// the broker refuses a message and says the limit in doing so. Safe for
// concurrent use.
type sizeLimit struct{ most atomic.Int64 }

func newSizeLimit(configured int) *sizeLimit {
	l := &sizeLimit{}
	l.most.Store(int64(configured))
	return l
}

// octets is the limit; 0 is not known yet.
func (l *sizeLimit) octets() int { return int(l.most.Load()) }

// assume sets the limit if none is known.
func (l *sizeLimit) assume(n int) { l.most.CompareAndSwap(0, int64(n)) }

var tooLarge = regexp.MustCompile(`message size \d+ is larger than (?:configured )?max size (\d+)`)

// learn takes the limit out of the error that ended a lane.
func (l *sizeLimit) learn(err error) {
	var e *amqp.Error
	if !errors.As(err, &e) || e.Code != codePrecondition {
		return
	}
	if found := tooLarge.FindStringSubmatch(e.Reason); found != nil {
		if n, err := strconv.ParseInt(found[1], 10, 64); err == nil && n > 0 {
			l.most.Store(n)
		}
	}
}
