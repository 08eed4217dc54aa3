package brokers

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range out of which the kernel gives clients
// theirs: a server that is down for a while would otherwise lose its port to a
// client, and a client that dials a dead port out of that range may reach itself.
const (
	firstPort = 17000
	lastPort  = 31999
)

// freePorts gives n different ports of 127.0.0.1 on which nobody listens.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range 1000 {
		p := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := net.Listen("tcp", Address(p))
		if err != nil {
			continue
		}
		defer l.Close() // held until all are found, so that they differ
		if ports = append(ports, p); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("brokers: ports: no %d free ports of 127.0.0.1 between %d and %d", n, firstPort, lastPort)
}

// FreePort gives a port of 127.0.0.1 on which nobody listens now.
func FreePort() (int, error) {
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	return ports[0], nil
}

// Address is where a port of 127.0.0.1 is dialled.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// listening says whether anyone accepts connections on the port.
func listening(port int) bool {
	c, err := net.Dial("tcp", Address(port))
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
