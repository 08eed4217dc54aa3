package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
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
  amqp://USER@HOST:5672/VHOST?queue=NAME       or ?stream=NAME, or ?exchange=NAME`

// republish sends the messages that a bundle has of one side to a scratch target.
func republish(ctx context.Context, b *bundle.Bundle, side, address string) (n int, err error) {
	msgs, err := b.Messages(side)
	if err != nil {
		return 0, err
	}
	c, err := scratch(address)
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

// scratch makes a configuration of a target's address.
func scratch(address string) (*config.Config, error) {
	secrets := &origin{secrets: map[string]string{}}
	base, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	wrong := fmt.Errorf("--to: %q is no address of a target\n%s", redacted(address), targetHelp)
	scheme, rest, ok := strings.Cut(base, "://")
	if err != nil || !ok || kinds[scheme] == "" {
		return nil, wrong
	}
	path := ""
	if slash := strings.IndexByte(rest, '/'); kinds[scheme] != "rabbitmq" && slash >= 0 {
		path, base = rest[slash+1:], scheme+"://"+rest[:slash]
	}
	none := ""
	f := sideFlags{flag: "to", name: "scratch", url: &base, management: &none}
	s, err := f.side(secrets)
	if err != nil {
		return nil, err
	}
	var block []string
	for name, from := range map[string]string{"topic": path, "stream": path} {
		if is := name == "topic"; from != "" && is == (s.Kind == "kafka") {
			block = append(block, name+": "+yamlText(from))
		}
	}
	for name, value := range values {
		block = append(block, name+": "+yamlText(value[0]))
	}
	if len(block) == 0 {
		return nil, wrong
	}
	suffix := make([]byte, 4)
	_, _ = rand.Read(suffix) // it does not fail
	text := fmt.Sprintf("name: replay-%s\nsystems:\n  - {name: bundle, kind: memory, streams: [{name: B}]}\n  - name: scratch\n    kind: %s\n    %s\nrelays:\n  - name: replay\n    from: {system: bundle, stream: B}\n    to:\n      system: scratch\n      %s\n",
		hex.EncodeToString(suffix), s.Kind, strings.Join(s.Settings, "\n    "), strings.Join(block, "\n      "))
	return config.Parse("--to", []byte(text), config.Options{Adapters: adapters.Table(), Environment: secrets.environment})
}
