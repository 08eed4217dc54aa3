package ledger

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"
)

// Keys is a distribution of messages over keys.
type Keys string

// The distributions of the stories.
const (
	// Zipf10k is 10,000 keys, the hottest with a tenth of all messages.
	Zipf10k Keys = "10,000 Zipf keys"
	// Keys100 is 100 keys in equal shares: many messages of a key in flight.
	Keys100 Keys = "100 keys"
	// Keys1k is 1,000 keys in equal shares.
	Keys1k Keys = "1,000 keys"
	// Uniform10k is 10,000 keys in equal shares.
	Uniform10k Keys = "10,000 uniform keys"
)

// Carries says which headers and properties a route's producer can send.
type Carries string

// The selections of headers and properties.
const (
	CarriesAll    Carries = "every AMQP field"      // AMQP, no stream bound
	CarriesStream Carries = "what streams carry"    // AMQP without decimal, table and array
	CarriesText   Carries = "text headers, repeats" // NATS
	CarriesOctets Carries = "octet headers, nulls"  // Kafka
)

// A Load describes what is produced. All of it follows from the seed.
type Load struct {
	Seed     uint64
	Messages int
	Keys     Keys
	Carries  Carries
	// Space is the exchange; empty for NATS and Kafka.
	Space string
	// Topic and its number of Partitions are where the load goes at Kafka.
	Topic      string
	Partitions int
	// Prefix goes in front of every routing key or subject: "in.".
	Prefix string
	// Poison makes one of so many messages, up to number PoisonUpTo, have a body of
	// PoisonSize octets. 0 is none.
	Poison, PoisonUpTo int
	// Began is what messages' own times count from, and Due how many of them there are in
	// a second. Zero values: an hour ago, and 1,000.
	Began time.Time
	Due   int
}

// PoisonSize is the length of the bodies of poison in octets.
const PoisonSize = 20_000

// bodySize is the length of every other planned body in octets.
const bodySize = 200

// A Plan is the load, message by message. It is read-only and so safe for
// concurrent use.
type Plan struct {
	Load
	keys []string
	of   []entry // by number; 0 is unused
}

// An entry holds what cannot be computed from the number alone.
type entry struct {
	key    uint32
	seq    uint32 // within the key, from 1
	bodyOf uint32 // the message of the same key whose body it repeats, or itself
	idOf   uint32 // the message whose ID it shares, or itself
	spaced bool   // its ID is idOf's with a space behind it
	poison bool   // its body is a large one, which no other repeats
}

// NewPlan lays out the load.
func NewPlan(l Load) *Plan {
	p := &Plan{Load: l, of: make([]entry, l.Messages+1)}
	pick := p.layKeys()
	last := make([]uint32, len(p.keys)) // newest message of each key
	seq := make([]uint32, len(p.keys))
	for n := 1; n <= l.Messages; n++ {
		rng := p.rng(uint32(n))
		e := &p.of[n]
		e.key = pick(rng)
		seq[e.key]++
		e.seq, e.bodyOf, e.idOf = seq[e.key], uint32(n), uint32(n)
		e.poison = p.drawPoison(n)
		before, neighbour := last[e.key], &p.of[n-1]
		switch rng.IntN(50) {
		case 0: // a legitimate repetition: the same body, another ID
			if before != 0 && !e.poison && !p.of[before].poison {
				e.bodyOf = p.of[before].bodyOf
			}
		case 1: // the neighbour's ID, on another key
			if n > 1 && neighbour.key != e.key && neighbour.idOf == uint32(n-1) {
				e.idOf = uint32(n - 1)
			}
		case 2: // an ID that differs from the key's last one by a space at the end
			if before != 0 && p.of[before].idOf == before {
				e.idOf, e.spaced = before, true
			}
		}
		last[e.key] = uint32(n)
	}
	return p
}

// rng is the randomness of one message.
func (p *Plan) rng(n uint32) *rand.Rand { return rand.New(rand.NewPCG(p.Seed, uint64(n))) }

// drawPoison says whether message n is poison. Its randomness is apart from what
// else follows from the seed.
func (p *Plan) drawPoison(n int) bool {
	if p.Poison == 0 || n > p.PoisonUpTo {
		return false
	}
	return rand.New(rand.NewPCG(p.Seed, uint64(n)|1<<32)).IntN(p.Poison) == 0
}

// Poisoned says whether message n is poison.
func (p *Plan) Poisoned(n int) bool { return p.of[n].poison }

// layKeys names the keys and gives the function that draws one.
func (p *Plan) layKeys() func(*rand.Rand) uint32 {
	n := 10_000
	switch p.Keys {
	case Keys100:
		n = 100
	case Keys1k:
		n = 1000
	}
	p.keys = make([]string, n)
	for i := range p.keys {
		p.keys[i] = fmt.Sprintf("%shost%d.%s", p.Prefix, i/8, metrics[i%len(metrics)])
	}
	if p.Keys != Zipf10k {
		return func(rng *rand.Rand) uint32 { return uint32(rng.IntN(n)) }
	}
	// Shares proportional to 1/rank: 1/H(10,000) is 10.2 % for the hottest.
	upTo := make([]float64, n)
	sum := 0.0
	for i := range upTo {
		sum += 1 / float64(i+1)
		upTo[i] = sum
	}
	return func(rng *rand.Rand) uint32 {
		return uint32(min(sort.SearchFloat64s(upTo, rng.Float64()*sum), n-1))
	}
}

var metrics = []string{"cpu.user", "cpu.system", "mem.used", "disk.read", "disk.write", "net.in", "net.out", "load"}

// Name is the routing key or subject of message n, which is its key too.
func (p *Plan) Name(n int) string { return p.keys[p.of[n].key] }

// ID is the producer's ID of message n: unique within its key.
func (p *Plan) ID(n int) string {
	e := &p.of[n]
	id := fmt.Sprintf("m-%d-%d", p.Seed, e.idOf)
	switch {
	case e.spaced && p.Carries == CarriesText:
		id += " +" // NATS trims the end of a header's line
	case e.spaced:
		id += " "
	}
	return id
}

// Body is the payload of message n: a telemetry sample of 200 octets, or poison;
// at Kafka a null and an empty one now and then.
func (p *Plan) Body(n int) []byte {
	n = int(p.of[n].bodyOf)
	e := &p.of[n]
	if p.Carries == CarriesOctets && !e.poison {
		switch n % bodilessEvery {
		case selectionEvery:
			return nil
		case 3:
			return []byte{}
		}
	}
	rng := p.rng(uint32(n))
	value := math.Round(rng.Float64()*1e6) / 1e3
	size := bodySize
	if e.poison {
		size = PoisonSize
	}
	b := make([]byte, 0, size)
	b = append(b, `{"key":`...)
	b = strconv.AppendQuote(b, p.keys[e.key])
	b = fmt.Appendf(b, `,"seq":%d,"n":%d,"value":%g,"at":"`, e.seq, n, value)
	b = epoch.Add(time.Duration(n)*time.Millisecond).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","pad":"`...)
	for len(b) < size-2 {
		b = append(b, 'a'+byte(rng.IntN(26)))
	}
	return append(b, `"}`...)
}

// epoch is the time of the planned load, far from anybody's retention.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// Message is what message n has to look like at the candidate.
func (p *Plan) Message(n int) Message {
	name := p.Name(n)
	m := Message{N: n, Key: name, Space: p.Space, Name: name, ID: p.ID(n), Body: p.Body(n)}
	if p.Carries == CarriesOctets {
		m.Name, m.Partition = p.Topic, int(p.partition(n))+1
		m.Millis = p.time(n).UnixMilli()
	}
	m.Headers, m.Properties = p.fields(n)
	return m
}
