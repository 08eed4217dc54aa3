package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge/draft"
)

// addressHelp says how a stream is named by an address.
const addressHelp = `A stream's address is one of
  kafka://HOST:9092,HOST:9092/TOPIC,TOPIC      kafka+tls:// for TLS
  nats://HOST:4222/STREAM?subjects=a.>,b.>     all of the stream without subjects
  amqp://USER@HOST:5672/VHOST?stream=NAME      a stream of RabbitMQ's
  amqp://USER@HOST:5672/VHOST?exchange=NAME&routing_key=KEY   a tap of its own
with USER:PASSWORD@ in front of HOST where it is needed; a password may be a
reference, ${env:NAME}. More than that goes into a configuration.`

// A stream is what an address of one names.
type stream struct {
	system draft.Side
	block  []string // the lines of its block, without the system
}

// streamOf reads the address of a stream. flag is where it stands, name what its system
// is called.
func streamOf(flag, name, address string, o *origin) (s stream, err error) {
	base, query, _ := strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(base, "://")
	kind := kinds[scheme]
	if !ok || kind == "" {
		return s, fmt.Errorf("--%s: %q is no address of a stream\n%s", flag, redacted(address), addressHelp)
	}
	slash := strings.IndexByte(rest, '/')
	path := ""
	if kind != "rabbitmq" && slash >= 0 {
		path, base = rest[slash+1:], scheme+"://"+rest[:slash]
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return s, fmt.Errorf("--%s: what stands behind the ? is not NAME=VALUE&…\n%s", flag, addressHelp)
	}
	none := ""
	f := sideFlags{flag: flag, name: name, url: &base, management: &none}
	if s.system, err = f.side(o); err != nil {
		return s, err
	}
	known := map[string]bool{}
	get := func(key string) string {
		known[key] = true
		return values.Get(key)
	}
	wrong := func(what string) (stream, error) {
		return s, fmt.Errorf("--%s: %s\n%s", flag, what, addressHelp)
	}
	switch kind {
	case "kafka":
		if path == "" {
			return wrong("which topic? It stands behind the brokers")
		}
		s.block = append(s.block, "topics: "+yamlList(path))
	case "nats":
		if path == "" {
			return wrong("which stream? It stands behind the server")
		}
		s.block = append(s.block, "stream: "+yamlText(path))
		if subjects := get("subjects"); subjects != "" {
			s.block = append(s.block, "subjects: "+yamlList(subjects))
		}
	default:
		name, exchange, key := get("stream"), get("exchange"), get("routing_key")
		switch {
		case (name == "") == (exchange == ""):
			return wrong("name a stream, or an exchange")
		case name != "":
			s.block = append(s.block, "stream: "+yamlText(name))
		default:
			if key == "" {
				key = "#"
			}
			s.block = append(s.block, "tap: stream", fmt.Sprintf("bindings: [{exchange: %s, routing_key: %s}]", yamlText(exchange), yamlText(key)),
				"accept: [stream-headers, mandatory, alternate-exchange]")
		}
	}
	for key := range values {
		if !known[key] {
			return wrong(fmt.Sprintf("nothing is known of %q", key))
		}
	}
	return s, nil
}

func yamlList(commas string) string {
	var all []string
	for _, v := range strings.Split(commas, ",") {
		all = append(all, yamlText(v))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// redacted is an address without its password.
func redacted(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); ok && at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		return scheme + "://" + user + ":…@" + rest[at+1:]
	}
	return address
}
