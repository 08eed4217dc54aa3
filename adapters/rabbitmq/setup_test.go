package rabbitmq

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

func TestSettings(t *testing.T) {
	good, err := newSystem("s", settings("url: amqp://localhost"))
	if err != nil {
		t.Fatal(err)
	}
	id := bridge.Identity{Bridge: "b", Relay: "r"}
	for block, want := range map[string]string{
		"{}":                                          "url is missing",
		"url: 'http://localhost'":                     "url cannot be read",
		"url: amqp://user:secret@host:x/":             "url cannot be read",
		"url: amqp://localhost\nheartbeat: 1s":        "heartbeat",
		"url: amqp://localhost\ntls: {ca: /none}":     "amqps",
		"url: amqps://localhost\ntls: {ca: /none}":    "tls: ca",
		"url: amqps://localhost\ntls: {cert: /none}":  "cert and key",
		"url: amqp://localhost\nmax_message: -1":      "max_message",
		"url: amqp://localhost\nsetup_timeout: 100ms": "at least 1s",
		"url: amqp://localhost\nunacked_timeout: 1ms": "unacked_timeout",
	} {
		_, err := newSystem("s", settings(block))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("system %q: %v, want %q", block, err, want)
		}
	}
	for block, want := range map[string]string{
		"{}":                                     "bindings are missing",
		"tap: mirror":                            "not one of",
		"queue: q":                               "competes: true",
		"tap: queue\ncompetes: true":             "name of the queue",
		"queue: q\ncompetes: true\nmax_bytes: 1": "as it is",
		"tap: quorum\nqueue: q":                  "tap: queue",
		"bindings: [{exchange: '', routing_key: a}]":               "default exchange",
		"bindings: [{exchange: x}]\nprefetch: 70000":               "prefetch",
		"bindings: [{exchange: x}]\nmax_age: 1h":                   "tap: stream",
		"tap: stream\nmax_length: 5\nbindings: [{exchange: x}]":    "max_length",
		"tap: stream\nsegment_bytes: 1\nbindings: [{exchange: x}]": "segment_bytes",
		"stream: s\ntap: quorum":                                   "existing stream",
		"stream: s\nstart: middle":                                 "want now, first",
		"start: first\nbindings: [{exchange: x}]":                  "begins when it is made",
		"start: 5\nqueue: q\ncompetes: true":                       "has no positions",
		"stream: s\nmax_bytes: 5":                                  "no bounds",
		"bindings: [{exchange: x, arguments: {a: [1]}}]":           "want a text",
		"bindings: [{exchange: " + strings.Repeat("x", 256) + "}]": "255",
		"tap: stream\nmax_age: 1ms\nbindings: [{exchange: x}]":     "at least 1s",
		"bindings: [{exchange: x}]\nmax_length: -1":                "not negative",
		"tap: stream\nbindings: [{exchange: x}]":                   "accept: [stream-headers]",
		"bindings: [{exchange: x}]\naccept: [all]":                 "is not one of alternate-exchange",
	} {
		if _, err := good.Source(id, settings(block)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from %q: %v, want %q", block, err, want)
		}
	}
	for block, want := range map[string]string{
		"{}":                              "name one of",
		"queue: q\nstream: s":             "name one of",
		"queue: q\nrouting_key: a":        "for an exchange",
		"queue: q\ntype: stream":          "stream: q",
		"queue: q\ntype: lazy":            "not one of",
		"exchange: x\ntype: quorum":       "for a queue",
		"exchange: x\nrouting_key: '{a}'": "unknown placeholder",
		"queue: q\nwindow: -1":            "window",
		"queue: q\naccept: [mandatory]":   "is not one of alternate-exchange",
	} {
		if _, err := good.Sink(id, settings(block)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("to %q: %v, want %q", block, err, want)
		}
	}
	if _, err := good.Source(id, settings("tap: stream\naccept: [stream-headers]\nmax_age: 1h\nbindings: [{exchange: x, routing_key: '#', arguments: {a: 1, b: x, c: true}}]")); err != nil {
		t.Error(err)
	}
	s, err := newSystem("s", settings("url: amqp://u@localhost/v\npassword: p"))
	if err != nil || s.uri.Password != "p" || s.uri.Username != "u" || s.uri.Vhost != "v" {
		t.Errorf("password apart: %+v, %v", s.uri, err)
	}
}

// A tap's name changes with what the broker does not let anyone change, and with
// nothing else.
func TestTapNames(t *testing.T) {
	id := bridge.Identity{Bridge: "b", Relay: "r"}
	base := sourceSettings{Tap: typeQuorum, MaxBytes: 1}
	same := base
	same.Prefetch, same.Bindings = 7, []bindingSettings{{Exchange: "x"}}
	if tapName(id, &base) != tapName(id, &same) {
		t.Error("prefetch or bindings change the name")
	}
	for i, change := range []func(*sourceSettings){
		func(c *sourceSettings) { c.Tap = typeClassic },
		func(c *sourceSettings) { c.MaxBytes = 2 },
		func(c *sourceSettings) { c.MaxLength = 2 },
		func(c *sourceSettings) { c.MaxAge = 2 },
		func(c *sourceSettings) { c.SegmentBytes = 2 },
		func(c *sourceSettings) { c.Stream = "s" },
	} {
		other := base
		change(&other)
		if tapName(id, &base) == tapName(id, &other) {
			t.Errorf("change %d keeps the name", i)
		}
	}
}

// No tap ever refuses a producer's message.
func TestTapArguments(t *testing.T) {
	for _, b := range []broker{{major: 3}, {major: 4}} {
		for _, tap := range []string{typeQuorum, typeClassic} {
			a := tapArguments(&sourceSettings{Tap: tap, MaxBytes: 5, MaxLength: 6}, "dropped", b)
			if a["x-overflow"] != "drop-head" || a["x-single-active-consumer"] != true || a["x-dead-letter-routing-key"] != "dropped" {
				t.Errorf("%v", a)
			}
			limit, has := a["x-delivery-limit"]
			if has != (tap == typeQuorum && b.major == 4) || has && limit != int64(-1) {
				t.Errorf("RabbitMQ %d, %s: delivery limit %v", b.major, tap, limit)
			}
		}
	}
}

func TestErrorClasses(t *testing.T) {
	server := func(code int, reason string) error { return &amqp.Error{Code: code, Reason: reason, Server: true} }
	for _, c := range []struct {
		err        error
		setup, run bridge.Class
	}{
		{server(403, "ACCESS_REFUSED - …"), bridge.Stopping, bridge.Stopping},
		{amqp.ErrCredentials, bridge.Transient, bridge.Stopping}, // the library's guess
		{amqp.ErrSASL, bridge.Stopping, bridge.Stopping},
		{server(404, "NOT_FOUND - no exchange 'x' in vhost '/'"), bridge.Stopping, bridge.Transient},
		{server(404, "NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible"), bridge.Transient, bridge.Transient},
		{server(405, "RESOURCE_LOCKED - …"), bridge.Transient, bridge.Transient},
		{server(406, "PRECONDITION_FAILED - inequivalent arg"), bridge.Stopping, bridge.Transient},
		{server(530, "NOT_ALLOWED - vhost none not found"), bridge.Stopping, bridge.Transient},
		{server(530, "NOT_ALLOWED - access to vhost '/' refused: connection limit (1) is reached"), bridge.Transient, bridge.Transient},
		{server(541, "INTERNAL_ERROR"), bridge.Transient, bridge.Transient},
		{server(320, "CONNECTION_FORCED - broker forced connection closure"), bridge.Transient, bridge.Transient},
		{&amqp.Error{Code: 501, Reason: "EOF"}, bridge.Transient, bridge.Transient},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, bridge.Transient, bridge.Transient},
	} {
		setup, run := setupError("open", c.err), runError("lane", c.err)
		if bridge.ClassOf(setup) != c.setup || bridge.ClassOf(run) != c.run {
			t.Errorf("%v: setup %d, run %d", c.err, bridge.ClassOf(setup), bridge.ClassOf(run))
		}
		if bridge.ClassOf(setup) == bridge.Stopping && bridge.HintOf(setup) == "" {
			t.Errorf("%v: no hint", c.err)
		}
		if !errors.Is(setup, c.err) {
			t.Errorf("%v is lost", c.err)
		}
	}
	if setupError("open", nil) != nil {
		t.Error("no error became one")
	}
}

func TestConnecting(t *testing.T) {
	n := sharedNode(t)
	u := strings.Replace(n.url, "guest:guest@", "guest:wrong@", 1)
	if u == n.url {
		u = strings.Replace(n.url, "amqp://", "amqp://guest:wrong@", 1)
	}
	wrong, err := newSystem("s", settings("url: "+u))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.connect(t.Context(), "test"); bridge.ClassOf(err) != bridge.Stopping || bridge.HintOf(err) == "" {
		t.Errorf("a wrong password: %v", err)
	}
	nowhere := n.open(t)
	nowhere.uri.Vhost = "none"
	if _, err := nowhere.connect(t.Context(), "test"); bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("a virtual host that is not there: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := newSystem("s", settings("url: amqp://"+l.Addr().String()+"\nconnect_timeout: 1s"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.connect(t.Context(), "test"); bridge.ClassOf(err) != bridge.Transient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that says nothing: %v", err)
	}
	_ = l.Close()
	if _, err := silent.connect(t.Context(), "test"); bridge.ClassOf(err) != bridge.Transient {
		t.Errorf("a port that nobody listens on: %v", err)
	}
}

// What a queue or exchange is can be found out without changing anything.
func TestFindingOut(t *testing.T) {
	n := sharedNode(t)
	s, err := n.open(t).connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for kind, arguments := range map[string]amqp.Table{
		typeQuorum:  {"x-queue-type": typeQuorum, "x-max-length": int64(5), "x-overflow": "reject-publish", "x-dead-letter-exchange": "", "x-delivery-limit": int64(9)},
		typeClassic: {"x-max-length-bytes": int64(500), "x-expires": int64(600000), "x-max-priority": int64(5)},
		typeStream:  {"x-queue-type": typeStream, "x-max-age": "1h", "x-max-length-bytes": int64(1 << 30)},
	} {
		q := unique(t)
		if _, err := n.channel(t).QueueDeclare(q, true, false, false, false, arguments); err != nil {
			t.Fatal(err)
		}
		n.deleteLater(t, q)
		found, err := s.queueArguments(q)
		if err != nil || found.kind() != kind || found.unknown {
			t.Errorf("%s: %+v, %v", kind, found, err)
		}
		if kind == typeQuorum && found.arguments["x-overflow"] != "reject-publish" {
			t.Errorf("%s: %v", kind, found.arguments)
		}
	}
	if _, err := s.queueArguments("none-" + unique(t)); !missing(err) {
		t.Errorf("a queue that is not there: %v", err)
	}
	for _, kind := range []string{"direct", "topic", "fanout", "headers"} {
		got, alternate, err := s.exchangeKind(n.exchange(t, unique(t), kind))
		if got != kind || alternate || err != nil {
			t.Errorf("%s exchange: %s, %v, %v", kind, got, alternate, err)
		}
	}
	x := unique(t)
	if err := n.channel(t).ExchangeDeclare(x, "topic", true, false, false, false, amqp.Table{"alternate-exchange": "amq.fanout"}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.channel(t).ExchangeDelete(x, false, false) }()
	if kind, alternate, err := s.exchangeKind(x); kind != "topic" || !alternate || err != nil {
		t.Errorf("with alternate exchange: %s, %v, %v", kind, alternate, err)
	}
	if _, _, err := s.exchangeKind("none-" + unique(t)); !missing(err) {
		t.Errorf("an exchange that is not there: %v", err)
	}
}

func worst(fs []bridge.Finding) (level bridge.Level, text string) {
	for _, f := range fs {
		if f.Level >= level {
			level, text = f.Level, f.Subject+": "+f.Text
		}
		if f.Level == bridge.Fail && f.Hint == "" {
			return f.Level, "no hint for " + f.Text
		}
	}
	return level, text
}

func TestCheck(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	id := n.identity(t)
	x := n.exchange(t, unique(t), "topic")
	q := n.queue(t, unique(t), typeQuorum)
	c := n.queue(t, unique(t), typeClassic)
	st := n.queue(t, unique(t), typeStream)
	for _, v := range []struct {
		name string
		o    bridge.Checker
		want bridge.Level
		says string
	}{
		{"a tap", n.source(t, s, id, "accept: [mandatory, priorities]\nbindings: [{exchange: "+x+", routing_key: '#'}]"), bridge.Warn, "(accepted: mandatory)"},
		{"a tap with a wildcard", n.source(t, s, id, "accept: [priorities]\nbindings: [{exchange: "+x+", routing_key: 'a.*'}]"), bridge.Fail, "mandatory"},
		{"a tap without one", n.source(t, s, id, "accept: [priorities]\nbindings: [{exchange: "+x+", routing_key: 'a.b'}]"), bridge.Warn, ""},
		{"a stream tap", n.source(t, s, id, "tap: stream\naccept: [stream-headers, mandatory]\nbindings: [{exchange: "+x+", routing_key: '#'}]"), bridge.Warn, "decimal"},
		{"a tap of nothing", n.source(t, s, id, "bindings: [{exchange: none-"+x+", routing_key: '#'}]"), bridge.Fail, "no exchange"},
		{"a queue", n.source(t, s, id, "queue: "+q+"\ncompetes: true"), bridge.Warn, "competes"},
		{"no queue", n.source(t, s, id, "queue: none-"+q+"\ncompetes: true"), bridge.Fail, "no queue"},
		{"a stream", n.source(t, s, id, "stream: "+st), bridge.Pass, ""},
		{"a queue as a stream", n.source(t, s, id, "stream: "+q), bridge.Fail, "is a quorum queue"},
		{"target quorum", n.sink(t, s, id, "queue: "+q), bridge.Pass, ""},
		{"target classic, said to be quorum", n.sink(t, s, id, "queue: "+c), bridge.Fail, "is a classic queue"},
		{"target stream", n.sink(t, s, id, "stream: "+st), bridge.Pass, ""},
		{"target exchange", n.sink(t, s, id, "exchange: "+x), bridge.Pass, ""},
		{"no target", n.sink(t, s, id, "exchange: none-"+x), bridge.Fail, "no exchange"},
	} {
		fs := v.o.Check(t.Context())
		level, text := worst(fs)
		all := ""
		for _, f := range fs {
			all += f.Subject + ": " + f.Text + "\n"
		}
		if level != v.want || !strings.Contains(all, v.says) {
			t.Errorf("%s: %s, %s; want %s with %q:\n%s", v.name, level, text, v.want, v.says, all)
		}
	}
	if _, err := n.channel(t).QueueDeclarePassive(n.source(t, s, id, "bindings: [{exchange: "+x+"}]").tap, true, false, false, false, nil); err == nil {
		t.Error("check made the tap")
	}
	down, err := newSystem("down", settings("url: amqp://127.0.0.1:1\nconnect_timeout: 1s"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if level, _ := worst(n.sink(t, down, id, "queue: q").Check(t.Context())); level != bridge.Fail || time.Since(start) > 5*time.Second {
		t.Errorf("a broker that is down: %s after %v", level, time.Since(start))
	}
}
