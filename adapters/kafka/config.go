package kafka

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
)

// Kind is the word for this adapter in a configuration.
const Kind = "kafka"

// Defaults of the settings.
const (
	defaultConnectTimeout = 5 * time.Second
	defaultRequestTimeout = 10 * time.Second
	defaultSessionTimeout = 10 * time.Second
	defaultMaxBytes       = 16 << 20
	defaultBatch          = 512 << 10
	defaultWindow         = 16384
)

// SystemConfig is one block of systems.
type SystemConfig struct {
	// Brokers are some of the cluster's, as HOST:PORT; they are asked in turn for
	// all others.
	Brokers []string `yaml:"brokers"`
	// TLS asks for encrypted connections, SASL says who we are.
	TLS  *TLSConfig  `yaml:"tls"`
	SASL *SASLConfig `yaml:"sasl"`
	// ClientID is what brokers call our connections in logs and quotas.
	ClientID string `yaml:"client_id"`
	// ConnectTimeout bounds dialling with TLS and SASL, RequestTimeout the answer to
	// a request, and how long a produce may wait for its replicas.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	RequestTimeout time.Duration `yaml:"request_timeout"`
	// SessionTimeout is after how long without a sign of life the group gives a
	// process up, so that the one which stands by takes over.
	SessionTimeout time.Duration `yaml:"session_timeout"`
}

// TLSConfig asks for encrypted connections. All are paths of PEM files.
type TLSConfig struct {
	// CA verifies the brokers; empty trusts the host's own authorities.
	CA string `yaml:"ca"`
	// Cert and Key are the client's own.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ServerName is what the brokers' certificates name, if not their host.
	ServerName string `yaml:"server_name"`
}

// SASLConfig says who we are.
type SASLConfig struct {
	// Mechanism is plain, scram-sha-256 or scram-sha-512.
	Mechanism string        `yaml:"mechanism"`
	User      string        `yaml:"user"`
	Password  bridge.Secret `yaml:"password"`
}

func (c *SystemConfig) finish(name string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%s: system %s: %s", Kind, name, fmt.Sprintf(format, args...))
	}
	if len(c.Brokers) == 0 {
		return wrong("brokers: where is the cluster? Write brokers: [HOST:9092]")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(b, " ,@/") {
			return wrong("brokers: %q is not HOST:PORT, such as kafka-1:9092; several are a list", bridge.Printable(b, 100))
		}
	}
	if c.TLS != nil && (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return wrong("tls: cert and key go together")
	}
	if s := c.SASL; s != nil {
		if _, err := s.mechanism(); err != nil {
			return wrong("sasl: %v", err)
		}
	}
	for _, d := range []struct {
		name      string
		v         *time.Duration
		otherwise time.Duration
	}{
		{"connect_timeout", &c.ConnectTimeout, defaultConnectTimeout},
		{"request_timeout", &c.RequestTimeout, defaultRequestTimeout},
		{"session_timeout", &c.SessionTimeout, defaultSessionTimeout},
	} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
		if *d.v < 100*time.Millisecond {
			return wrong("%s: is at least 100ms", d.name)
		}
	}
	if c.ClientID == "" {
		c.ClientID = "crossfade"
	}
	return nil
}

// SourceConfig is the from block of a relay.
type SourceConfig struct {
	// Topics are the topics to read, or Pattern, a regular expression for the
	// whole name (as RE2 has it), which topics that are made later may match too.
	Topics  []string `yaml:"topics"`
	Pattern string   `yaml:"pattern"`
	// Start is where a partition is begun that the relay has no position of: first
	// (the first record that is retained, the default), now, a time, or an origin.
	Start bridge.Start `yaml:"start"`
	// Uncommitted reads records of transactions that are still open, and of those
	// that were aborted.
	Uncommitted bool `yaml:"uncommitted"`
	// MaxBytes is how many octets may wait in this process between the brokers and
	// the relay.
	MaxBytes int `yaml:"max_bytes"`
	// Accept lists the risks that are taken: "recreated", "gaps".
	Accept bridge.Accepts `yaml:"accept"`

	pattern *regexp.Regexp
}

// The words of accept lists.
const (
	acceptRecreated = "recreated" // go on where the topic was deleted and made again
	acceptGaps      = "gaps"      // go on where retention was faster than the relay
	acceptCompacted = "compacted" // write to a topic that is compacted at once
)

// What the words of an accept list take on.
var (
	sourceRisks = map[string]string{
		acceptRecreated: "a topic that was deleted and made again is read from its first record",
		acceptGaps:      "records that retention removed before they were read are passed over",
	}
	sinkRisks = map[string]string{
		acceptRecreated: "a topic that was deleted and made again is written to, without what it held",
		acceptCompacted: "what a compacted topic has removed is not read back: after a crash an older value may take the place of a newer one",
	}
)

func (c *SourceConfig) finish() error {
	if err := c.Accept.Validate(sourceRisks); err != nil {
		return wrongIn("from", "%v", err)
	}
	switch {
	case len(c.Topics) == 0 && c.Pattern == "":
		return wrongIn("from", "topics: which topics are read? Write topics: [NAME], or pattern: a regular expression")
	case len(c.Topics) > 0 && c.Pattern != "":
		return wrongIn("from", "topics and pattern: choose one")
	case c.MaxBytes < 0:
		return wrongIn("from", "max_bytes is not negative")
	case c.Start.Kind == bridge.StartOffset:
		return wrongIn("from", "start: an offset belongs to one partition; name it by an origin, or give first, now or a time")
	}
	seen := map[string]bool{}
	for _, t := range c.Topics {
		if !validTopic(t) {
			return wrongIn("from", "topics: %q is not a topic's name", bridge.Printable(t, 100))
		}
		if seen[t] {
			return wrongIn("from", "topics: %q stands there twice", t)
		}
		seen[t] = true
	}
	if c.Pattern != "" {
		var err error
		if c.pattern, err = regexp.Compile(`\A(?:` + c.Pattern + `)\z`); err != nil {
			return wrongIn("from", "pattern: %v", err)
		}
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	return nil
}

// SinkConfig is the to block of a relay.
type SinkConfig struct {
	// Topic is the template of the topics: "telemetry", "copy.{topic}".
	Topic string `yaml:"topic"`
	// Partition says who chooses the partition: key (Java's default partitioner over
	// the record's key, the default) or source (the number that the message had).
	Partition string `yaml:"partition"`
	// Timestamp is original (the message's own time, the default) or append (when it
	// is placed).
	Timestamp string `yaml:"timestamp"`
	// Compression of the batches: none (the default), gzip, snappy, lz4, zstd.
	Compression string `yaml:"compression"`
	// Batch is how many octets one batch may have, Window how many messages of a
	// lane may be on their way, in not much more than eight batches' octets.
	Batch  int `yaml:"batch"`
	Window int `yaml:"window"`
	// Create has topics made that are not there. Without it they are refused.
	Create *CreateConfig `yaml:"create"`
	// Accept lists the risks that are taken: "recreated", "compacted".
	Accept bridge.Accepts `yaml:"accept"`

	template *bridge.Template
}

// CreateConfig is how topics are made.
type CreateConfig struct {
	Partitions  int `yaml:"partitions"`
	Replication int `yaml:"replication"` // 0 is what the cluster does by default
	// Configs are the topic's settings, as NAME=VALUE.
	Configs []string `yaml:"configs"`
}

// The words of settings.
const (
	partitionByKey    = "key"
	partitionBySource = "source"

	timestampOriginal = "original"
	timestampAppend   = "append"
)

var compressions = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func (c *SinkConfig) finish() error {
	if err := c.Accept.Validate(sinkRisks); err != nil {
		return wrongIn("to", "%v", err)
	}
	for _, w := range []struct {
		name string
		v    *string
		of   []string
	}{
		{"partition", &c.Partition, []string{partitionByKey, partitionBySource}},
		{"timestamp", &c.Timestamp, []string{timestampOriginal, timestampAppend}},
		{"compression", &c.Compression, compressions},
	} {
		if err := oneOf(w.name, w.v, w.of); err != nil {
			return wrongIn("to", "%v", err)
		}
	}
	if c.Topic == "" {
		return wrongIn("to", `topic: wants a name or a template, such as "copy.{topic}"`)
	}
	var err error
	if c.template, err = bridge.ParseTemplate(c.Topic); err != nil {
		return wrongIn("to", "topic: %v", err)
	}
	if name, literal := c.template.Literal(); literal && !validTopic(name) {
		return wrongIn("to", "topic: %q is not a topic's name: it has up to 249 of the characters a-z A-Z 0-9 . _ -", bridge.Printable(name, 100))
	}
	switch {
	case c.Batch < 0, c.Window < 0:
		return wrongIn("to", "batch and window are not negative")
	case c.Create != nil && (c.Create.Partitions < 1 || c.Create.Replication < 0 || c.Create.Replication > 32767):
		return wrongIn("to", "create: partitions is at least 1, replication is not negative")
	}
	if c.Create != nil {
		for _, kv := range c.Create.Configs {
			if name, _, ok := strings.Cut(kv, "="); !ok || name == "" {
				return wrongIn("to", "create: configs: %q is not NAME=VALUE", bridge.Printable(kv, 100))
			}
		}
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	if c.Window == 0 {
		c.Window = defaultWindow
	}
	return nil
}

// oneOf wants v to be one of the words; empty is the first.
func oneOf(name string, v *string, of []string) error {
	if *v == "" {
		*v = of[0]
	}
	for _, w := range of {
		if *v == w {
			return nil
		}
	}
	return fmt.Errorf("%s: %q is not one of %s", name, bridge.Printable(*v, 40), strings.Join(of, ", "))
}

// validTopic says that Kafka takes a topic of that name.
func validTopic(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > maxTopic {
		return false
	}
	for i := range len(name) {
		if !topicSafe(name[i]) && name[i] != '.' {
			return false
		}
	}
	return true
}

// maxTopic is how long a topic's name may be.
const maxTopic = 249

func topicSafe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func wrongIn(block, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %s", Kind, block, fmt.Sprintf(format, args...))
}
