package kafka

// metadataFlexible is the first version with compact lengths and tagged fields,
// metadataIDs the first with topic IDs.
const (
	metadataFlexible = 9
	metadataIDs      = 10
)

// A metadataRequest asks for brokers and topics (MetadataRequest v1 to v12): those
// that are named, or all of them.
//
// Topics that are not there stay so from v4 on; before it, a request that names
// one makes it, where the broker is set to do that.
type metadataRequest struct {
	topics []string
	all    bool
}

// A topicID is what Kafka tells one life of a topic from the next by (KIP-516);
// all zero where the broker has none.
type topicID [16]byte

// A metadataResponse is what the broker answered. Strings are the response's own.
type metadataResponse struct {
	throttle   int32 // milliseconds
	brokers    []metadataBroker
	clusterID  string // v2: empty where the cluster has none
	controller int32  // -1: not known
	topics     []metadataTopic
}

type metadataBroker struct {
	id   int32
	host string
	port int32
	rack string
}

type metadataTopic struct {
	errorCode  int16
	name       string
	id         topicID // v10
	internal   bool
	partitions []metadataPartition
}

type metadataPartition struct {
	errorCode   int16
	index       int32
	leader      int32   // -1: there is none
	leaderEpoch int32   // v7; -1: not known
	replicas    []int32 // broker IDs
	inSync      []int32
	offline     []int32 // v5
}

// appendMetadata appends the request's body.
func appendMetadata(dst []byte, version int16, r *metadataRequest) []byte {
	flexible := version >= metadataFlexible
	names := r.topics
	if r.all {
		names = nil
		dst = appendCount(dst, -1, flexible)
	} else {
		dst = appendCount(dst, len(names), flexible)
	}
	for _, name := range names {
		if version >= metadataIDs {
			dst = append(dst, make([]byte, len(topicID{}))...)
		}
		dst = appendText(dst, name, flexible)
		if flexible {
			dst = append(dst, 0) // no tagged fields
		}
	}
	if version >= 4 {
		dst = appendBool(dst, false) // no topic is made
	}
	if version >= 8 && version <= 10 {
		dst = appendBool(dst, false) // no authorized operations of the cluster
	}
	if version >= 8 {
		dst = appendBool(dst, false) // nor of the topics
	}
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

// readMetadata reads the response's body. Nothing of it is kept.
func readMetadata(body []byte, version int16, into *metadataResponse) error {
	c := cursor{b: body, flexible: version >= metadataFlexible}
	*into = metadataResponse{}
	if version >= 3 {
		into.throttle = c.int32()
	}
	for range c.count(10) {
		b := metadataBroker{id: c.int32(), host: string(c.name()), port: c.int32(), rack: string(c.text())}
		c.tags()
		into.brokers = append(into.brokers, b)
	}
	if version >= 2 {
		into.clusterID = string(c.text())
	}
	into.controller = c.int32()
	for range c.count(5) {
		into.topics = append(into.topics, readTopic(&c, version))
	}
	if version >= 8 && version <= 10 {
		c.int32() // authorized operations
	}
	c.tags()
	return c.end("metadata", version)
}

func readTopic(c *cursor, version int16) metadataTopic {
	t := metadataTopic{errorCode: c.int16(), name: string(c.name())} // null only where an ID was asked for
	if version >= metadataIDs {
		copy(t.id[:], c.take(len(t.id)))
	}
	t.internal = c.int8() != 0
	for range c.count(17) {
		t.partitions = append(t.partitions, readPartition(c, version))
	}
	if version >= 8 {
		c.int32() // authorized operations
	}
	c.tags()
	return t
}

func readPartition(c *cursor, version int16) metadataPartition {
	p := metadataPartition{errorCode: c.int16(), index: c.int32(), leader: c.int32(), leaderEpoch: -1}
	if version >= 7 {
		p.leaderEpoch = c.int32()
	}
	p.replicas, p.inSync = c.int32s(), c.int32s()
	if version >= 5 {
		p.offline = c.int32s()
	}
	c.tags()
	return p
}
