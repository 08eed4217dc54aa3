package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge/bundle"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// targetHelp says how a scratch target is named by an address.
const targetHelp = `A target's address is one of
  kafka://HOST:9092/TOPIC                      kafka+tls:// for TLS
  nats://HOST:4222/STREAM?subject=scratch.{key}
  amqp://HOST:5672/VHOST?queue=NAME            or ?stream=NAME, or ?exchange=NAME
with USER:PASSWORD@ in front of HOST where it is needed.`

// republish sends the messages that a bundle has of one side to a scratch target.
func republish(ctx context.Context, b *bundle.Bundle, side string, c *config.Config) (n int, err error) {
	msgs, err := b.Messages(side)
	if err != nil {
		return 0, err
	}
	if err := engine.Republish(ctx, c.Relays[0].Sink, msgs); err != nil {
		return 0, err
	}
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return len(msgs), engine.Remove(cleaning, c, c.Relays[0].Name)
}

// targetSettings are what may stand behind the ? of a target's address.
var targetSettings = map[string][]string{"kafka": nil, "nats": {"subject"}, "rabbitmq": {"queue", "stream", "exchange", "routing_key", "type"}}

// scratch makes a configuration of a target's address.
func scratch(address string) (*config.Config, error) {
	base, query, _ := strings.Cut(address, "?")
	scheme, _, ok := strings.Cut(base, "://")
	kind := kinds[scheme]
	wrong := fmt.Errorf("--to: %q is no address of a target\n%s", redacted(address), targetHelp)
	values, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
	if !ok || kind == "" || err != nil || strings.Contains(query, "@") {
		return nil, wrong
	}
	var block []string
	if kind != "rabbitmq" {
		var path string
		if base, path, err = pathOf(base, len(scheme)+3); err != nil || path == "" {
			return nil, wrong
		}
		block = append(block, map[string]string{"kafka": "topic: ", "nats": "stream: "}[kind]+yamlText(path))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.Contains(targetSettings[kind], name) || len(values[name]) > 1 {
			return nil, wrong
		}
		block = append(block, name+": "+yamlText(values.Get(name)))
	}
	if len(block) == 0 {
		return nil, wrong
	}
	secrets := &origin{secrets: map[string]string{}}
	none := ""
	f := sideFlags{flag: "to", name: "scratch", url: &base, management: &none}
	s, err := f.side(secrets)
	if err != nil {
		return nil, err
	}
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // it does not fail
	text := fmt.Sprintf(scratchText, hex.EncodeToString(suffix), s.Kind, strings.Join(s.Settings, "\n    "), strings.Join(block, "\n      "))
	return config.Parse("--to", []byte(text), config.Options{Adapters: adapters.Table(), Environment: secrets.environment})
}

const scratchText = `name: replay-%s
systems:
  - {name: bundle, kind: memory, streams: [{name: B}]}
  - name: scratch
    kind: %s
    %s
relays:
  - name: replay
    from: {system: bundle, stream: B}
    to:
      system: scratch
      %s
`
