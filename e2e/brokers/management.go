package brokers

import (
	"net"
	"slices"
)

// ManagementPlugin gives a RabbitMQ its HTTP API.
const ManagementPlugin = "rabbitmq_management"

// Management is the address of the HTTP API of a RabbitMQ that was started with
// ManagementPlugin; it stays the same through restarts.
func (s *Server) Management() string { return "http://" + Address(s.Ports[3]) }

// managementConf is what the node's configuration says of the API: a port of its
// own, reserved when it is first needed.
func (s *Server) managementConf() (string, error) {
	if !slices.Contains(s.Plugins, ManagementPlugin) {
		return "", nil
	}
	if len(s.Ports) < 4 {
		ports, err := freePorts(1)
		if err != nil {
			return "", err
		}
		s.Ports = append(s.Ports, ports[0])
		if err := s.save(); err != nil {
			return "", err
		}
	}
	host, port, err := net.SplitHostPort(Address(s.Ports[3]))
	if err != nil {
		return "", err
	}
	return "management.tcp.ip = " + host + "\nmanagement.tcp.port = " + port + "\n", nil
}
