package ledger

import "strings"

// A Loss is something that an incumbent itself does to messages before anybody
// else can read them. A Book leaves those out of the comparison that it is told
// of, and nothing more.
type Loss struct {
	// Name says what is lost, for reports.
	Name  string
	apply func(*Message)
}

// OctetsBecomeText is what streams of RabbitMQ 4 do to headers that are arrays of
// octets (type x): they are text (type S) with the same octets.
var OctetsBecomeText = Loss{"streams of RabbitMQ 4 make text of octet headers", func(m *Message) {
	for i, f := range m.Headers {
		if octets, ok := strings.CutPrefix(f.Value, "x:"); ok {
			m.Headers[i].Value = "S:" + octets
		}
	}
}}
