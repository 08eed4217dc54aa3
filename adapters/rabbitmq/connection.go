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
	conn   *amqp.Connection
	sock   *socket
	broker broker
	what   string
	user   string
	wait   time.Duration // how long an answer may take where nothing else bounds it
	setup  time.Duration // how long a step of setting up may take, as bounded has it
	mu     sync.Mutex    // one channel is opened at a time
	once   sync.Once

	life    sync.Mutex
	closing bool           // nothing is started any more
	started sync.WaitGroup // what cut waits for
}

// A broker is what the server says of itself.
type broker struct {
	cluster string
	origin  string // the cluster as origins name it: with the vhost, but for the default one
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

// emptyPatience is how long a stream with a count of nothing has to be silent before
// it is taken as empty. Up to 3.10 a subscription is answered by the stream's leader,
// who sends at once what there is. Later ones answer for him, and what is there comes
// when he has time; the count is up to five seconds old.
func (b broker) emptyPatience() time.Duration {
	var major, minor int
	if n, _ := fmt.Sscanf(b.version, "%d.%d", &major, &minor); n == 2 && (major < 3 || major == 3 && minor <= 10) {
		return time.Second
	}
	return 6 * time.Second
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
	properties := amqp.Table{"product": "crossfade", "connection_name": "crossfade " + what}
	conn, err := amqp.Open(sock, amqp.Config{
		SASL:       []amqp.Authentication{&login{s.uri.PlainAuth(), properties}},
		Vhost:      s.uri.Vhost,
		Heartbeat:  s.settings.Heartbeat,
		FrameSize:  frameMax,
		Locale:     "en_US",
		Properties: properties,
	})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = sock.Close()
		<-sock.finished
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return nil, setupError(what+": connect to "+s.address, err)
	}
	n := &session{conn: conn, sock: sock, broker: brokerOf(conn.Properties, s.uri.Vhost), what: what, user: s.uri.Username, wait: s.settings.ConfirmTimeout, setup: s.settings.SetupTimeout}
	n.watchBlocked()
	s.major.Store(int32(n.broker.major))
	if s.connected != nil {
		s.connected(n)
	}
	return n, nil
}

// A login answers as PLAIN does, and asks the broker to say so when it refuses
// it: otherwise it just hangs up, as it does when it is stopped at that moment,
// and one could not be told from the other. The library fills in its
// capabilities before it asks for the response.
type login struct {
	amqp.Authentication
	properties amqp.Table
}

func (l *login) Response() string {
	if capabilities, ok := l.properties["capabilities"].(amqp.Table); ok {
		capabilities["authentication_failure_close"] = true
	}
	return l.Authentication.Response()
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

func brokerOf(properties amqp.Table, vhost string) broker {
	b := broker{}
	b.cluster, _ = properties["cluster_name"].(string)
	if b.origin = b.cluster; vhost != "/" {
		b.origin += "/" + vhost
	}
	b.version, _ = properties["version"].(string)
	major, _, _ := strings.Cut(b.version, ".")
	b.major, _ = strconv.Atoi(major)
	return b
}

// setUp runs f on a new session, which it closes if f fails. What takes longer
// than the limit fails with it, since the library waits for ever.
func (s *system) setUp(ctx context.Context, what string, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := newLimit(limitOf(ctx), s.settings.SetupTimeout, func() { cancel(errSetupTimeout) })
	defer l.stop()
	ctx = context.WithValue(ctx, limitKey{}, l)
	n, err := s.connect(ctx, what)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = n.sock.Close() })
	err = f(ctx, n)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	n.close()
	return cutShort(ctx, what, err)
}

// A limit ends something after a while, in which waiting on purpose does not count. What
// is set up within another setting up has the other's limit as its outer one. One
// goroutine at a time uses it.
type limit struct {
	outer *limit
	timer *time.Timer
	at    time.Time
}

type limitKey struct{}

// limitOf is the limit under which ctx runs, or nil.
func limitOf(ctx context.Context) *limit {
	l, _ := ctx.Value(limitKey{}).(*limit)
	return l
}

func newLimit(outer *limit, d time.Duration, over func()) *limit {
	return &limit{outer: outer, timer: time.AfterFunc(d, over), at: time.Now().Add(d)}
}

// allow puts the end off, unless it has come, and the outer ones. A nil limit has none.
func (l *limit) allow(d time.Duration) {
	for ; l != nil; l = l.outer {
		if l.timer.Stop() {
			l.at = l.at.Add(d)
			l.timer.Reset(time.Until(l.at))
		}
	}
}

func (l *limit) stop() { l.timer.Stop() }

// cutShort says that f ended because its time was over, where it did. Whatever it
// made of the end of its connection is then of no weight: a broker that is slow may
// answer the next time.
func cutShort(ctx context.Context, what string, err error) error {
	if err == context.Cause(ctx) { //nolint:errorlint // it says nothing but that
		return fmt.Errorf("rabbitmq: %s: %w", what, err)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("rabbitmq: %s: %w: %v", what, cause, err) //nolint:errorlint // so that it is not Fatal
	}
	return err
}

// bounded runs f, and cuts the session if that takes longer than the setup
// timeout or than ctx, since the library waits for ever.
func (n *session) bounded(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, n.setup, errSetupTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = n.sock.Close() })
	err := f(ctx)
	if stop() {
		return err
	}
	if err == nil {
		return context.Cause(ctx)
	}
	return cutShort(ctx, what, err)
}

// within bounds one answer of the broker.
func (n *session) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, n.wait, errNoAnswer)
}

var errNoAnswer = errors.New("rabbitmq: the broker has not answered within the confirm timeout; a queue or stream whose leader is lost does not")

var errSetupTimeout = errors.New("the broker has not answered within the setup timeout; a queue whose leader is lost does not")

// watchBlocked notes while the broker lets nobody publish.
func (n *session) watchBlocked() {
	events := n.conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	n.start(func() {
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
	n.start(func() {
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
		if n.ending() {
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

// start runs f beside the session, which waits for it at its end; it says false
// when the session is over.
func (n *session) start(f func()) bool {
	n.life.Lock()
	defer n.life.Unlock()
	if n.closing {
		return false
	}
	n.started.Go(f)
	return true
}

// ending says that the end of the session is our own wish.
func (n *session) ending() bool {
	n.life.Lock()
	defer n.life.Unlock()
	return n.closing
}

func (n *session) beginEnd() {
	n.life.Lock()
	defer n.life.Unlock()
	n.closing = true
}

// close ends the session, with a handshake if the broker answers soon.
func (n *session) close() {
	n.once.Do(func() {
		n.beginEnd()
		hard := time.AfterFunc(closeGrace, func() { _ = n.sock.Close() })
		_ = n.conn.CloseDeadline(time.Now().Add(closeGrace))
		hard.Stop()
		n.cut()
	})
}

func (n *session) cut() {
	_ = n.sock.Close()
	<-n.sock.finished
	n.started.Wait()
}
