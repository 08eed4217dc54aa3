package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge/draft"
)

// addressHelp says how a stream is named by an address.
const addressHelp = `A stream's address is one of
  kafka://HOST:9092,HOST:9092/TOPIC,TOPIC      kafka+tls:// for TLS
  nats://HOST:4222/STREAM?subjects=a.>,b.>     all of the stream without subjects
  amqp://HOST:5672/VHOST?stream=NAME           a stream of RabbitMQ's
  amqp://HOST:5672/VHOST?exchange=NAME&routing_key=KEY   a tap of its own
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
	scheme, _, ok := strings.Cut(base, "://")
	kind := kinds[scheme]
	if !ok || kind == "" {
		return s, fmt.Errorf("--%s: %q is no address of a stream\n%s", flag, redacted(address), addressHelp)
	}
	wrong := func(what string) (stream, error) {
		if strings.Contains(query, "@") && !strings.Contains(base, "@") { // it may hold a password
			what = "what stands behind the ? cannot be read; a ? in a password is written %3F"
		}
		return s, fmt.Errorf("--%s: %s\n%s", flag, what, addressHelp)
	}
	path := ""
	if kind != "rabbitmq" {
		if base, path, err = pathOf(base, len(scheme)+3); err != nil {
			return wrong("behind the host a % stands in front of two hexadecimal digits")
		}
	}
	values, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B")) // a + is no space here
	if err != nil {
		return wrong("what stands behind the ? is not NAME=VALUE&…")
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
		case name != "" && key != "":
			return wrong("a routing_key goes with an exchange")
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
	for _, key := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !known[key]:
			return wrong(fmt.Sprintf("nothing is known of %q", key))
		case len(values[key]) > 1:
			return wrong(key + " is there twice")
		}
	}
	return s, nil
}

// pathOf parts an address, without its query, into the one of the system and what stands
// behind it; the scheme ends at from. A password may have any / in it.
func pathOf(base string, from int) (system, path string, err error) {
	from = max(from, strings.LastIndexByte(base, '@')+1)
	slash := strings.IndexByte(base[from:], '/')
	if slash < 0 {
		return base, "", nil
	}
	path, err = url.PathUnescape(base[from+slash+1:])
	return base[:from+slash], path, err
}

func yamlList(commas string) string {
	var all []string
	for _, v := range strings.Split(commas, ",") {
		all = append(all, yamlText(v))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// redacted is an address without its user and password, wherever the mistake is.
func redacted(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	scheme, _, ok := strings.Cut(address[:at], "://")
	if !ok || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz+") != "" {
		return "***" + address[at:]
	}
	return scheme + "://***" + address[at:]
}
