package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// What JetStream says about a publish.
type pubAck struct {
	Error     *pubAckError `json:"error"`
	Stream    string       `json:"stream"`
	Seq       uint64       `json:"seq"`
	Duplicate bool         `json:"duplicate"`
}

// A pubAckError is why a stream did not take a message.
type pubAckError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// Error is the server's own words.
func (e *pubAckError) Error() string {
	return fmt.Sprintf("%s (code %d)", bridge.Printable(e.Description, 120), e.ErrCode)
}

// The codes of JetStream's errors that mean something of their own here.
const (
	codeNotEnabled     = 10039
	codeTooLarge       = 10054
	codeWrongStream    = 10060
	codeWrongLastID    = 10070
	codeWrongLast      = 10071
	codeStoreFailed    = 10077
	codeHeaderTooLarge = 10097
	codeSealed         = 10109
)

// parsePubAck reads an answer, which is expected from that stream. The usual form is read without reflection:
// {"stream":"NAME","seq":42} with "domain" or "duplicate" where they apply.
func parsePubAck(data []byte, stream string) (pubAck, error) {
	if a, ok := leanPubAck(data, stream); ok {
		return a, nil
	}
	var a pubAck
	if err := json.Unmarshal(data, &a); err != nil {
		return a, fmt.Errorf("answer %q is not one of JetStream's", bridge.Printable(string(data), 64))
	}
	if a.Error == nil && a.Stream == "" {
		return a, fmt.Errorf("answer %q is not one of JetStream's", bridge.Printable(string(data), 64))
	}
	return a, nil
}

var (
	ackStream = []byte(`{"stream":"`)
	ackSeq    = []byte(`,"seq":`)
	ackTwice  = []byte(`,"duplicate":`)
)

// leanPubAck reads the form that nearly all answers of that stream have.
func leanPubAck(data []byte, stream string) (a pubAck, ok bool) {
	rest, found := bytes.CutPrefix(data, ackStream)
	if !found {
		return a, false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 || string(rest[:end]) != stream {
		return a, false
	}
	rest = rest[end+1:]
	at := bytes.Index(rest, ackSeq)
	if at < 0 || at > 0 && !bytes.HasPrefix(rest, []byte(`,"domain":"`)) {
		return a, false
	}
	rest = rest[at+len(ackSeq):]
	i := 0
	for ; i < len(rest) && i < 19 && '0' <= rest[i] && rest[i] <= '9'; i++ {
		a.Seq = a.Seq*10 + uint64(rest[i]-'0')
	}
	if rest = rest[i:]; i == 0 || len(rest) == 0 {
		return a, false
	}
	if v, found := bytes.CutPrefix(rest, ackTwice); found {
		v = bytes.TrimLeft(v, " ")
		if rest, found = bytes.CutPrefix(v, []byte("true")); !found {
			return a, false
		}
		a.Duplicate = true
	}
	a.Stream = stream
	return a, len(rest) == 1 && rest[0] == '}'
}

// noStream says that nobody was there to take the message.
func noStream(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}

// refusal says what the relay has to do about an answer that is an error.
func refusal(e *pubAckError, stream string) error {
	wrapped := fmt.Errorf("stream %s: %w", stream, e)
	switch e.ErrCode {
	case codeTooLarge, codeHeaderTooLarge:
		return bridge.Reject(bridge.ReasonOversized, wrapped)
	case codeWrongLast, codeWrongLastID:
		return fmt.Errorf("stream %s: the message before it is not the newest any more: a repeat was dropped, another session has begun, "+
			"or somebody else writes into the stream (then write shared: true): %w", stream, e)
	case codeSealed:
		return bridge.Fatal(wrapped, "The stream is sealed; nothing can be written to it.")
	case codeWrongStream:
		return bridge.Fatal(wrapped, "The subject belongs to another stream; change the template or the stream's subjects.")
	case codeNotEnabled:
		return bridge.Fatal(wrapped, "Enable JetStream for the account of the bridge's user.")
	case codeStoreFailed:
		if strings.Contains(e.Description, "too large") {
			return bridge.Reject(bridge.ReasonOversized, wrapped)
		}
		if strings.Contains(e.Description, "exceeded") {
			return fmt.Errorf("candidate refuses: stream %s is full: %w", stream, e)
		}
	}
	return wrapped
}

var errNoStream = errors.New("no stream takes the subject: it is gone, or has no leader")
