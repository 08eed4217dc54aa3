package brokers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Settling is how long a quorum queue or stream has to exist before a kill of
// RabbitMQ leaves it usable: the broker writes its directory of Raft servers
// every half second, and does not find those again that are not in it. That is a
// fault of the broker's that no client can do anything about.
const Settling = time.Second

// rabbitScripts are the places of the starting script. The one in a PATH folder
// of Debian switches the user, insists on root and writes into /var/lib.
var rabbitScripts = []string{
	"/usr/lib/rabbitmq/bin/rabbitmq-server",
	"/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
	"/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
}

func rabbitScript() (string, error) {
	for _, p := range rabbitScripts {
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			return p, nil
		}
	}
	return "", fmt.Errorf("rabbitmq: %w: install it (Debian, Ubuntu: apt-get install rabbitmq-server), "+
		"or start Docker and run make up, or set %s to a server for tests", ErrUnavailable, envAMQP)
}

func rabbitInstalled() error {
	_, err := rabbitScript()
	return err
}

// rabbitCommand starts a node that shares nothing with any other on the machine:
// own ports, epmd, cookie, folders, and no system-wide configuration.
func (s *Server) rabbitCommand() (*exec.Cmd, error) {
	script, err := rabbitScript()
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"rabbitmq.conf":   "log.console = false\nlog.file.level = warning\n",
		"advanced.config": "[].\n",
		"enabled_plugins": "[].\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("brokers: rabbitmq: %w", err)
		}
	}
	// Some shells start with a soft limit of 1,024 open files.
	cmd := exec.Command("/bin/sh", "-c", `ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$0"`, script)
	at := func(name string) string { return filepath.Join(s.Dir, name) }
	cmd.Env = []string{
		"CROSSFADE_BROKER=" + s.Dir,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + os.Getenv("PATH"),
		"HOME=" + s.Dir,
		"LANG=C.UTF-8",
		"ERL_EPMD_PORT=" + strconv.Itoa(s.Ports[2]),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=crossfade" + strconv.Itoa(s.Ports[0]) + "@localhost",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT=" + strconv.Itoa(s.Ports[0]),
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(s.Ports[1]),
		"RABBITMQ_MNESIA_BASE=" + at("data"),
		"RABBITMQ_LOG_BASE=" + at("log"),
		"RABBITMQ_PID_FILE=" + at("beam.pid"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_CONFIG_FILE=" + at("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + at("advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + at("enabled_plugins"),
		// An idle scheduler that spins takes the cores that the tests need.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+sbwt none +sbwtdcpu none +sbwtdio none" +
			" -kernel inet_dist_use_interface {127,0,0,1}",
	}
	return cmd, nil
}

// killEPMD ends the port mapper that a node left behind on a port of its own.
func killEPMD(port int) {
	for range 20 {
		// It refuses while it still knows a living node.
		if exec.Command("epmd", "-port", strconv.Itoa(port), "-kill").Run() == nil || !listening(port) {
			return
		}
	}
}
