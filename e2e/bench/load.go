package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
)

// The shape of every load.
const (
	keyCount = 10_000
	bodySize = 200
)

// keys says how messages are spread over keys.
type keys string

// The distributions.
const (
	uniform keys = "uniform"
	// zipf gives shares proportional to 1/rank: 10.2 % to the hottest of 10,000.
	zipf keys = "zipf"
)

// A load is messages 0..n-1, all of which follows from its fields. It is
// read-only once made.
type load struct {
	n      int
	run    string
	prefix string // in front of every key
	names  []string
	of     []uint16 // the key of each message
}

func newLoad(n int, k keys, run, prefix string) *load {
	l := &load{n: n, run: run, prefix: prefix, names: make([]string, keyCount), of: make([]uint16, n)}
	for i := range l.names {
		l.names[i] = fmt.Sprintf("%shost%04d.cpu%d", prefix, i/8, i%8)
	}
	rng := rand.New(rand.NewPCG(uint64(n), 7))
	pick := func() int { return rng.IntN(keyCount) }
	if k == zipf {
		upTo, sum := make([]float64, keyCount), 0.0
		for i := range upTo {
			sum += 1 / float64(i+1)
			upTo[i] = sum
		}
		pick = func() int { return min(sort.SearchFloat64s(upTo, rng.Float64()*sum), keyCount-1) }
	}
	for i := range l.of {
		l.of[i] = uint16(pick())
	}
	return l
}

// key is the ordering key of message i: its routing key or subject.
func (l *load) key(i int) string { return l.names[l.of[i]] }

// id is the producer's ID of message i.
func (l *load) id(i int) string { return fmt.Sprintf("%s-%08d", l.run, i) }

var bodyStart = []byte(`{"n":`)

// appendBody appends the body of message i: a telemetry sample of bodySize octets
// that begins with its number.
func (l *load) appendBody(dst []byte, i int) []byte {
	from := len(dst)
	dst = append(dst, bodyStart...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `,"metric":"`...)
	dst = append(dst, l.key(i)...)
	dst = append(dst, `","value":`...)
	dst = strconv.AppendInt(dst, int64(i)*2654435761%1_000_003, 10)
	dst = append(dst, `,"tags":"`...)
	for len(dst)-from < bodySize-2 {
		dst = append(dst, 'a'+byte((len(dst)-from+i)%26))
	}
	return append(dst, `"}`...)
}

func (l *load) body(i int) []byte { return l.appendBody(make([]byte, 0, bodySize), i) }

// numberOf reads the number out of a body.
func numberOf(body []byte) (int, bool) {
	rest, ok := bytes.CutPrefix(body, bodyStart)
	if !ok {
		return 0, false
	}
	digits, _, ok := bytes.Cut(rest, []byte(","))
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(string(digits))
	return n, err == nil
}
