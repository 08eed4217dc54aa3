package kafka

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A target is what a session knows of the topics that it writes to, as of Open.
type target struct {
	topics map[string]*topic
	only   *topic // the one that there is, where the settings name it
	layout *layout
}

// A topic is one of a target's.
type topic struct {
	name       string
	id         string // empty where the brokers know none
	partitions int32
	hash       uint32 // 0 where the settings name the topic
	settings   topicSettings
}

// keepsTime says that the topic's records keep the producer's time. Where that is
// not known it is taken for false, and the message's own time travels as a header.
func (t *topic) keepsTime() bool { return t.settings.known && !t.settings.appendTime }

// look finds the target's topics, and refuses those that cannot be.
func (o *SinkOpener) look(ctx context.Context, c *cluster) (*target, error) {
	var l *layout
	var err error
	if name, literal := o.config.template.Literal(); literal {
		l, err = o.lookAt(ctx, c, name)
	} else {
		l, err = c.look(ctx)
	}
	if err != nil {
		return nil, err
	}
	t := o.targetOf(l)
	if err := o.sameLife(t); err != nil {
		return nil, err
	}
	if err := o.readSettings(ctx, c, t); err != nil {
		return nil, err
	}
	for _, topic := range t.topics {
		if wrong := o.unfit(topic); wrong != nil {
			return nil, wrong
		}
	}
	return t, nil
}

// targetOf picks the topics of a layout that the template can make.
func (o *SinkOpener) targetOf(l *layout) *target {
	t := &target{topics: map[string]*topic{}, layout: l}
	name, literal := o.config.template.Literal()
	shape := shapeOf(o.config.template)
	for _, found := range l.topics {
		if len(found.partitions) == 0 || !literal && (found.internal || strings.HasPrefix(found.name, ownPrefix)) || !shape.MatchString(found.name) {
			continue
		}
		topic := &topic{name: found.name, id: found.id, partitions: int32(len(found.partitions))}
		if !literal {
			topic.hash = hashOf(octets(topic.name))
		}
		t.topics[topic.name] = topic
	}
	if literal {
		t.only = t.topics[name]
	}
	return t
}

// lookAt finds the topic that the settings name, and makes it if they say so.
func (o *SinkOpener) lookAt(ctx context.Context, c *cluster, name string) (*layout, error) {
	l, err := c.find(ctx, name)
	if err != nil || l.topics[name] != nil {
		return l, err
	}
	if o.config.Create == nil {
		return nil, o.missing(name)
	}
	if err := o.create(ctx, c, name); err != nil {
		return nil, err
	}
	if l, err = c.find(ctx, name); err == nil && l.topics[name] == nil {
		err = fmt.Errorf("%s: %s: topic %s was made and is not there yet", Kind, o.system.name, name)
	}
	return l, err
}

// find looks at a topic, for a while if it is not there: a broker hears of it a moment
// after it was made.
func (c *cluster) find(ctx context.Context, name string) (*layout, error) {
	deadline := time.Now().Add(missingFor)
	for {
		l, err := c.look(ctx, name)
		if err != nil || l.topics[name] != nil || time.Now().After(deadline) {
			return l, err
		}
		if !pause(ctx, lookPause) {
			return nil, context.Cause(ctx)
		}
	}
}

// missing says that a topic is not there.
func (o *SinkOpener) missing(name string) error {
	return bridge.Fatal(fmt.Errorf("%s: %s: topic %s: %w", Kind, o.system.name, name, errNoTopic),
		"Create it first: "+o.createCommand(name)+"; or write create: {partitions: N}.")
}

// sameLife refuses topics that were deleted and made again since this process saw
// them first, as what was placed is gone and nothing keeps earlier sessions out of
// the new one.
func (o *SinkOpener) sameLife(t *target) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for name, topic := range t.topics {
		was := o.lives[name]
		if was != "" && topic.id != was && !o.config.Accept.Has(acceptRecreated) {
			return o.recreated(name, was, topic.id)
		}
		o.lives[name] = topic.id
	}
	return nil
}

func (o *SinkOpener) recreated(name, was, is string) error {
	return bridge.Fatal(fmt.Errorf("%s: %s: topic %s had the ID %s and has %s now", Kind, o.system.name, name, was, is),
		"The topic was deleted and made again, so what was placed is gone; to go on without it, write accept: ["+acceptRecreated+"].")
}

// dotted are the placeholders whose dots stay dots; all others are one token.
var dotted = map[string]bool{"address": true, "routing_key": true, "subject": true, "topic": true}

// shapeOf matches the topics that a template can make, and few others.
func shapeOf(t *bridge.Template) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	rest := t.String()
	for rest != "" {
		literal, behind, placeholder := strings.Cut(rest, "{")
		b.WriteString(regexp.QuoteMeta(literal))
		if !placeholder {
			break
		}
		var name string
		name, rest, _ = strings.Cut(behind, "}")
		if dotted[name] {
			b.WriteString(`[A-Za-z0-9_.-]+`)
		} else {
			b.WriteString(`[A-Za-z0-9_-]+`)
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}
