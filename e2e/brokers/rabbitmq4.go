package brokers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Rabbit4Root is the folder that holds a Debian with RabbitMQ 4, or is to hold it.
func Rabbit4Root() (string, error) { return serverFolder("rabbitmq-4") }

// The server's folder, as the server in the other Debian sees it.
const insideDir = "/srv"

// rabbit4Installed says why RabbitMQ 4 cannot be started here.
func rabbit4Installed() error {
	root, err := Rabbit4Root()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(root, "usr/lib/rabbitmq/bin/rabbitmq-server")); err != nil {
		return fmt.Errorf("rabbitmq 4: %w: run go run ./e2e/brokers/cmd install as root on Debian, "+
			"or start Docker and run make up, or set %s to a server for tests", ErrUnavailable, envAMQP4)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("rabbitmq 4: %w: only root may change into %s: be root, "+
			"or start Docker and run make up, or set %s to a server for tests", ErrUnavailable, root, envAMQP4)
	}
	return nil
}

// insideScript runs a command in the folder of the other Debian: $1 is that
// folder, $2 the server's. What it mounts is seen by the command and its
// children alone, and is gone when the last of them has ended, whatever way.
const insideScript = `
mount -t proc proc "$1/proc" && mount --bind "$2" "$1` + insideDir + `" || exit
ulimit -n "$(ulimit -Hn)" 2>/dev/null
root="$1"
shift 2
exec chroot "$root" "$@"
`

// inside gives a command that runs in the other Debian.
func (s *Server) inside(command ...string) (*exec.Cmd, error) {
	root, err := Rabbit4Root()
	if err != nil {
		return nil, err
	}
	args := append([]string{"--mount", "--propagation", "private", "/bin/sh", "-c", insideScript, "inside", root, s.Dir}, command...)
	return exec.Command("unshare", args...), nil
}
