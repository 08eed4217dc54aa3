package brokers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
	management, err := s.managementConf()
	if err != nil {
		return nil, err
	}
	files := map[string]string{
		"rabbitmq.conf":   "log.console = false\nlog.file.level = warning\n" + management,
		"advanced.config": "[].\n",
		"enabled_plugins": "[" + strings.Join(s.Plugins, ",") + "].\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("brokers: rabbitmq: %w", err)
		}
	}
	return s.rabbitTool("rabbitmq-server")
}

// rabbitTool is a command of the server's package, with the node's environment.
func (s *Server) rabbitTool(name string, args ...string) (*exec.Cmd, error) {
	if s.Kind == KindRabbitMQ4 {
		cmd, err := s.inside(append([]string{"/usr/lib/rabbitmq/bin/" + name}, args...)...)
		if err == nil {
			cmd.Env = s.rabbitEnv(insideDir)
		}
		return cmd, err
	}
	script, err := rabbitScript()
	if err != nil {
		return nil, err
	}
	// Some shells start with a soft limit of 1,024 open files.
	all := append([]string{"-c", `ulimit -n "$(ulimit -Hn)" 2>/dev/null; exec "$0" "$@"`, filepath.Join(filepath.Dir(script), name)}, args...)
	cmd := exec.Command("/bin/sh", all...)
	cmd.Env = s.rabbitEnv(s.Dir)
	return cmd, nil
}

// rabbitEnv is the environment of the node and its tools, which find the server's
// folder at dir.
func (s *Server) rabbitEnv(dir string) []string {
	at := func(name string) string { return filepath.Join(dir, name) }
	return []string{
		"CROSSFADE_BROKER=" + s.Dir,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:" + os.Getenv("PATH"),
		"HOME=" + dir,
		"LANG=C.UTF-8",
		"ERL_CRASH_DUMP=" + at("erl_crash.dump"),
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
}

// Ctl runs rabbitmqctl on the node and gives what it prints.
func (s *Server) Ctl(ctx context.Context, args ...string) (string, error) {
	cmd, err := s.rabbitTool("rabbitmqctl", append([]string{"--quiet"}, args...)...)
	if err != nil {
		return "", err
	}
	out, err := run(ctx, cmd)
	if err != nil {
		return "", fmt.Errorf("brokers: rabbitmqctl %s: %w", args[0], err)
	}
	return out, nil
}

// run runs a command to its end and gives what it prints.
func run(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var out, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out.String(), nil
}

// killEPMD ends the port mapper that a node left behind on a port of its own.
func (s *Server) killEPMD(port int) {
	args := []string{"epmd", "-port", strconv.Itoa(port), "-kill"}
	if s.Kind == KindRabbitMQ4 {
		root, err := Rabbit4Root()
		if err != nil {
			return
		}
		args = append([]string{"chroot", root}, args...)
	}
	for range 20 {
		// It refuses while it still knows a living node.
		if exec.Command(args[0], args[1:]...).Run() == nil || !listening(port) {
			return
		}
	}
}
