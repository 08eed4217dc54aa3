package rabbitmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// closeGrace bounds the closing handshake with a broker that may not answer.
const closeGrace = time.Second

// A session is one connection with its channels: they live and die together,
// and nothing of one session means anything in the next. The library's own
// recovery stays off, because it would send old delivery tags on new channels.
type session struct {
	conn    *amqp.Connection
	sock    *socket
	broker  broker
	what    string
	user    string
	mu      sync.Mutex // one channel is opened at a time
	closing atomic.Bool
	once    sync.Once
	watches sync.WaitGroup
}

// A broker is what the server says of itself.
type broker struct {
	cluster string
	version string
	major   int
}

// maxMessage is the broker's default limit for one message in octets.
func (b broker) maxMessage() int {
	if b.major >= 4 {
		return 16 << 20
	}
	return 128 << 20
}

// connect opens a connection; what names it in errors and at the broker.
func (s *system) connect(ctx context.Context, what string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, s.settings.ConnectTimeout)
	defer cancel()
	raw, err := s.dial(ctx)
	if err != nil {
		return nil, setupError(what+": connect to "+s.address, err)
	}
	sock := newSocket(raw, s.settings.WriteTimeout)
	sock.start()
	stop := context.AfterFunc(ctx, func() { _ = sock.Close() })
	conn, err := amqp.Open(sock, amqp.Config{
		SASL:       []amqp.Authentication{&amqp.PlainAuth{Username: s.uri.Username, Password: s.uri.Password}},
		Vhost:      s.uri.Vhost,
		Heartbeat:  s.settings.Heartbeat,
		FrameSize:  frameMax,
		Locale:     "en_US",
		Properties: amqp.Table{"product": "crossfade", "connection_name": "crossfade " + what},
	})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = sock.Close()
		<-sock.finished
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, amqp.ErrCredentials) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return nil, setupError(what+": connect to "+s.address, err)
	}
	n := &session{conn: conn, sock: sock, broker: brokerOf(conn.Properties), what: what, user: s.uri.Username}
	n.watchBlocked()
	return n, nil
}

func (s *system) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{KeepAlive: 15 * time.Second}
	raw, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil || s.tls == nil {
		return raw, err
	}
	secure := tls.Client(raw, s.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("tls: %w", err)
	}
	return secure, nil
}

func brokerOf(properties amqp.Table) broker {
	b := broker{}
	b.cluster, _ = properties["cluster_name"].(string)
	b.version, _ = properties["version"].(string)
	major, _, _ := strings.Cut(b.version, ".")
	b.major, _ = strconv.Atoi(major)
	return b
}

// watchBlocked notes while the broker lets nobody publish.
func (n *session) watchBlocked() {
	events := n.conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	n.watches.Go(func() {
		for e := range events {
			if e.Active {
				n.sock.blocked.Store(&e.Reason)
			} else {
				n.sock.blocked.Store(nil)
			}
		}
	})
}

// channel opens a channel. If p is not nil it takes the channel's messages.
func (n *session) channel(p port) (*amqp.Channel, uint16, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ch, err := n.conn.Channel()
	if err != nil {
		return nil, 0, err
	}
	id := uint16(n.sock.opened.Load())
	n.sock.in.attach(id, p)
	return ch, id, nil
}

// do runs f with a channel of its own for things that are asked or declared.
func (n *session) do(f func(*amqp.Channel) error) error {
	ch, _, err := n.channel(nil)
	if err != nil {
		return err
	}
	if err := f(ch); err != nil {
		_ = ch.Close()
		return err
	}
	return ch.Close()
}

// watch calls ended once, when the channel, its consumer or the connection has
// ended by no wish of ours.
func (n *session) watch(ch *amqp.Channel, ended func(error)) {
	closes := ch.NotifyClose(make(chan *amqp.Error, 1))
	cancels := ch.NotifyCancel(make(chan string, 1))
	n.watches.Go(func() {
		var err error
		select {
		case e, ok := <-closes:
			if !ok || e == nil {
				err = amqp.ErrClosed
			} else {
				err = e
			}
		case _, ok := <-cancels:
			if ok {
				err = errors.New("the broker cancelled the subscription: the queue was deleted, or its leader moved")
			} else if e, ok := <-closes; ok && e != nil {
				err = e
			} else {
				err = amqp.ErrClosed
			}
		}
		if n.closing.Load() {
			err = bridge.ErrClosed
		}
		ended(n.why(err))
	})
}

// why adds to an error what else is known of its cause.
func (n *session) why(err error) error {
	if errors.Is(err, bridge.ErrClosed) {
		return err
	}
	if cause := n.sock.cause(); cause != nil && !errors.Is(cause, net.ErrClosed) {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	if reason := n.sock.blocked.Load(); reason != nil {
		err = fmt.Errorf("the broker blocks publishers (%s): %w", *reason, err)
	}
	return runError(n.what, err)
}

// close ends the session, with a handshake if the broker answers soon.
func (n *session) close() {
	n.once.Do(func() {
		n.closing.Store(true)
		hard := time.AfterFunc(closeGrace, func() { _ = n.sock.Close() })
		_ = n.conn.CloseDeadline(time.Now().Add(closeGrace))
		hard.Stop()
		n.cut()
	})
}

// kill ends the session as a crash would, without a word to the broker.
func (n *session) kill() {
	n.once.Do(func() {
		n.closing.Store(true)
		n.cut()
	})
}

func (n *session) cut() {
	_ = n.sock.Close()
	<-n.sock.finished
	n.watches.Wait()
}
