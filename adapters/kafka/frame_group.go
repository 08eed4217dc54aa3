package kafka

// Heartbeat and LeaveGroup are frames of our own: kafka-go reads the error code of their
// answers where the throttle time stands, which is in front of it from version 1 on.

// The versions of both that are written and read.
const (
	leastMembership = 0
	mostMembership  = 2
)

// appendHeartbeat appends a request's body (HeartbeatRequest v0 to v2).
func appendHeartbeat(dst []byte, group string, generation int32, member string) []byte {
	dst = appendText(dst, group, false)
	dst = appendInt32(dst, generation)
	return appendText(dst, member, false)
}

// appendLeave appends a request's body (LeaveGroupRequest v0 to v2).
func appendLeave(dst []byte, group, member string) []byte {
	return appendText(appendText(dst, group, false), member, false)
}

// readMembership reads the error code of either answer.
func readMembership(body []byte, version int16, what string) (code int16, err error) {
	c := cursor{b: body}
	if version >= 1 {
		c.int32() // throttle time
	}
	code = c.int16()
	return code, c.end(what, version)
}
