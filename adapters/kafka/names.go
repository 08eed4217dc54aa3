package kafka

import (
	"strings"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Topics' names have letters, digits, '.', '_' and '-', and clusters take two names
// that differ in '.' and '_' only for one (they are the same in metrics). So '_' is
// the escape: any other octet is "_XX", '_' itself too, and an empty token "_".

// appendTopic is the bridge.Encoder of topics: injective and, by decodeTopic,
// reversible, for any octets.
func appendTopic(dst []byte, value string, dotted bool) ([]byte, error) {
	if !dotted {
		return appendToken(dst, value), nil
	}
	for {
		token, rest, more := strings.Cut(value, ".")
		dst = appendToken(dst, token)
		if !more {
			return dst, nil
		}
		dst = append(dst, '.')
		value = rest
	}
}

const hexDigits = "0123456789ABCDEF"

func appendToken(dst []byte, token string) []byte {
	if token == "" {
		return append(dst, '_')
	}
	for i := range len(token) {
		if c := token[i]; c != '_' && topicSafe(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '_', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return dst
}

// decodeTopic is the inverse of appendTopic.
func decodeTopic(topic string) (string, error) {
	tokens := strings.Split(topic, ".")
	for i, t := range tokens {
		if t == "_" {
			tokens[i] = ""
			continue
		}
		u, err := bridge.Unescape(strings.ReplaceAll(t, "_", "%"))
		if err != nil {
			return "", err
		}
		tokens[i] = u
	}
	return strings.Join(tokens, "."), nil
}

// Names of what the bridge makes at a cluster.

// ownPrefix begins the names of all that is the bridge's.
const ownPrefix = "crossfade."

// groupOf is the relay's consumer group.
func groupOf(id bridge.Identity) string {
	return ownPrefix + token(id.Bridge) + "." + token(id.Relay)
}

// journalOf is the topic of one of the relay's journals.
func journalOf(id bridge.Identity, purpose string) string {
	return groupOf(id) + "." + token(purpose)
}

// holdingsOf is the topic in which a bridge notes what it makes.
func holdingsOf(bridgeName string) string { return ownPrefix + "holdings." + token(bridgeName) }

func token(name string) string { return string(appendToken(nil, name)) }
