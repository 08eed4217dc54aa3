package rabbitmq

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// A management is the HTTP API of RabbitMQ's management plugin, which tells what
// AMQP does not: what there is. Only plans read it; no relay needs it.
type management struct {
	base           *url.URL
	user, password string
	vhost          string
	client         *http.Client
}

// largestAnswer bounds one list of the API.
const largestAnswer = 256 << 20

// parseManagement checks the setting; nil where it is empty.
func parseManagement(setting string) (*url.URL, error) {
	if setting == "" {
		return nil, nil
	}
	u, err := url.Parse(setting)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("management cannot be read; want http://host:15672, or https://")
	}
	return u, nil
}

// manage gives the API; the user is the AMQP one unless the address names another.
func (s *system) manage() *management {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	if s.tls != nil {
		transport.TLSClientConfig = s.tls.Clone()
		transport.TLSClientConfig.ServerName = s.management.Hostname()
	}
	m := &management{base: s.management, user: s.uri.Username, password: s.uri.Password, vhost: s.uri.Vhost, client: &http.Client{Transport: transport}}
	if u := s.management.User; u != nil {
		m.user = u.Username()
		m.password, _ = u.Password()
	}
	return m
}

// errForbidden is what the API answers to a user who may not see that list.
var errForbidden = errors.New("the user may not see it")

// get reads one list of the virtual host: "queues", "bindings".
func (m *management) get(ctx context.Context, list, columns string, into any) error {
	u := *m.base
	u.User = nil
	path := "/api/" + list
	if list != "nodes" {
		path += "/" + url.PathEscape(m.vhost)
	}
	u.RawPath = strings.TrimSuffix(u.EscapedPath(), "/") + path
	u.Path, _ = url.PathUnescape(u.RawPath)
	if columns != "" {
		u.RawQuery = "columns=" + columns
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("rabbitmq: management: %w", err)
	}
	r.SetBasicAuth(m.user, m.password)
	answer, err := m.client.Do(r)
	if err != nil {
		return fmt.Errorf("rabbitmq: management: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // nothing is written
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return bridge.Fatal(fmt.Errorf("rabbitmq: management: %s: user %s: %w (%s)", u.Redacted(), printable(m.user), errForbidden, answer.Status),
			"Give the user the tag management (rabbitmqctl set_user_tags), or put another user into management: http://user:password@host:15672.")
	default:
		return fmt.Errorf("rabbitmq: management: %s: %s", u.Redacted(), answer.Status)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, largestAnswer)).Decode(into); err != nil {
		return fmt.Errorf("rabbitmq: management: %s: what it answers: %w", u.Redacted(), err)
	}
	return nil
}

// What the API says of each thing, as far as it is read here.
type (
	listedExchange struct {
		Name       string         `json:"name"`
		Type       string         `json:"type"`
		Durable    bool           `json:"durable"`
		AutoDelete bool           `json:"auto_delete"`
		Internal   bool           `json:"internal"`
		Arguments  map[string]any `json:"arguments"`
	}
	listedQueue struct {
		Name       string         `json:"name"`
		Durable    bool           `json:"durable"`
		AutoDelete bool           `json:"auto_delete"`
		Exclusive  bool           `json:"exclusive"`
		Arguments  map[string]any `json:"arguments"`
	}
	listedBinding struct {
		Source     string         `json:"source"`
		To         string         `json:"destination"`
		ToType     string         `json:"destination_type"`
		RoutingKey string         `json:"routing_key"`
		Arguments  map[string]any `json:"arguments"`
	}
	listedPolicy struct {
		Name       string         `json:"name"`
		Pattern    string         `json:"pattern"`
		ApplyTo    string         `json:"apply-to"`
		Priority   int            `json:"priority"`
		Definition map[string]any `json:"definition"`
	}
)
