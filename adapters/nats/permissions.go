package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// What a part of the bridge has to be allowed.
type needs struct{ publish, subscribe []string }

// A permission is what a server lets a user do, in its own words. No allow means
// everything that is not denied.
type permission struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny"`
}

// A userInfo is what a server tells a user of itself.
type userInfo struct {
	Data struct {
		User        string `json:"user"`
		Account     string `json:"account"`
		Permissions *struct {
			Publish   permission `json:"publish"`
			Subscribe permission `json:"subscribe"`
		} `json:"permissions"`
	} `json:"data"`
}

// errNotTold says that the server does not let the user ask about itself.
var errNotTold = errors.New("the user may not ask about itself")

// userInfo asks the server who the user is. If that is refused, or the server is
// too old to know, the error is errNotTold and the connection is of no further
// use.
func (c *connection) userInfo(ctx context.Context) (info userInfo, err error) {
	answer, err := c.ask(ctx, "$SYS.REQ.USER.INFO")
	if err == nil {
		err = json.Unmarshal(answer, &info)
	}
	select {
	case <-c.broken:
		return info, fmt.Errorf("%w: %w", errNotTold, c.cause())
	case <-c.lost:
		return info, c.cause()
	default:
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return info, fmt.Errorf("%w: %w", errNotTold, err)
	}
	return info, err
}

// askTimeout is how long the server may take to answer a question.
const askTimeout = 5 * time.Second

// ask asks one question. A refusal of it ends the waiting.
func (c *connection) ask(ctx context.Context, subject string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := c.request(ctx, &nats.Msg{Subject: subject})
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

// request is a request that ends with the connection and with a refusal: a
// server that refuses the publish says so beside it and never answers.
func (c *connection) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	asked, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.broken:
			cancel()
		case <-c.lost:
			cancel()
		case <-asked.Done():
		}
	}()
	answer, err := c.RequestMsgWithContext(asked, m)
	if err != nil && ctx.Err() == nil && asked.Err() != nil {
		err = c.cause()
	}
	return answer, err
}

// permissions asks the server what the user may do. It tells that of itself to
// every user, since version 2.10 and by default. The question goes over a
// connection of its own, since it may be refused like any other publish.
func (p *preflight) permissions(ctx context.Context, n needs) {
	const subject = "permissions"
	conn, err := p.system.connect(ctx, "crossfade check")
	if err != nil {
		p.failed("connection", err, "")
		return
	}
	defer conn.Close()
	info, err := conn.userInfo(ctx)
	if err != nil {
		p.warn(subject, "the server does not say what the user may do: "+err.Error(), "See that it may publish to "+strings.Join(n.publish, ", ")+" and subscribe to "+strings.Join(n.subscribe, ", ")+".")
		return
	}
	who := fmt.Sprintf("user %q of account %q", info.Data.User, info.Data.Account)
	if info.Data.Permissions == nil {
		p.pass(subject, who+" may do everything")
		return
	}
	var missing []string
	for _, s := range n.publish {
		if !info.Data.Permissions.Publish.grants(s) {
			missing = append(missing, "publish to "+s)
		}
	}
	for _, s := range n.subscribe {
		if !info.Data.Permissions.Subscribe.grants(s) {
			missing = append(missing, "subscribe to "+s)
		}
	}
	if len(missing) > 0 {
		p.failed(subject, fmt.Errorf("%s may not %s", who, strings.Join(missing, "; ")), "Grant it to the bridge's user.")
		return
	}
	p.pass(subject, who+" may do what the bridge needs")
}

// grants says that every subject under s is allowed and none is denied. Denied
// subjects below a wanted wildcard count as a refusal.
func (p *permission) grants(s string) bool {
	for _, d := range p.Deny {
		if overlap(d, s) {
			return false
		}
	}
	if len(p.Allow) == 0 {
		return true
	}
	for _, a := range p.Allow {
		if covers(a, s) {
			return true
		}
	}
	return false
}

// covers says that everything under inner falls under outer.
func covers(outer, inner string) bool {
	for {
		o, oRest, oMore := strings.Cut(outer, ".")
		i, iRest, iMore := strings.Cut(inner, ".")
		switch {
		case o == ">":
			return true
		case i == ">", o != "*" && o != i, oMore != iMore:
			return false
		case !oMore:
			return true
		}
		outer, inner = oRest, iRest
	}
}
