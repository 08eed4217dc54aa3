package brokers

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaAnswers asks a Kafka for its nodes and for the coordinator of a group: a
// broker that has just started, or that the controller has not let in again, has
// none yet.
func kafkaAnswers(u *url.URL) error {
	c, err := dial(u, "9092")
	if err != nil {
		return err
	}
	defer c.Close()
	metadata := kmsg.NewPtrMetadataRequest()
	metadata.SetVersion(7)
	metadata.Topics = []kmsg.MetadataRequestTopic{} // none
	answer, err := ask(c, metadata)
	if err != nil {
		return fmt.Errorf("brokers: %s: metadata: %w", u.Host, err)
	}
	if len(answer.(*kmsg.MetadataResponse).Brokers) == 0 {
		return fmt.Errorf("brokers: %s: no broker is registered", u.Host)
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.SetVersion(2)
	find.CoordinatorKey = "crossfade"
	answer, err = ask(c, find)
	if err == nil {
		err = kerr.ErrorForCode(answer.(*kmsg.FindCoordinatorResponse).ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("brokers: %s: coordinator of groups: %w", u.Host, err)
	}
	return nil
}

// ask does one request of a version without tagged fields on a connection.
func ask(c net.Conn, request kmsg.Request) (kmsg.Response, error) {
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("crossfade")).AppendRequest(nil, request, 1)
	if _, err := c.Write(frame); err != nil {
		return nil, err
	}
	var head [8]byte // size and correlation ID
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	size, id := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
	if size < 4 || size > 1<<20 || id != 1 {
		return nil, fmt.Errorf("what answers is no Kafka: %x", head)
	}
	body := make([]byte, size-4)
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	response := request.ResponseKind()
	return response, response.ReadFrom(body)
}
