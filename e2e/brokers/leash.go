package brokers

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"syscall"
)

// leashScript waits until the process that holds the other end of its standard
// input is gone, and then ends the server of the folder and removes the folder.
// $1 is the folder, $2 the port of epmd or nothing, $3 the folder of another
// Debian whose epmd it is, or nothing.
const leashScript = `
trap '' INT TERM HUP
root="$3"
if [ -n "$root" ]; then epmd() { chroot "$root" epmd "$@"; }; fi
cat >/dev/null
if [ -s "$1/pid" ]; then kill -9 "-$(cat "$1/pid")" 2>/dev/null; fi
if [ -n "$2" ]; then
  i=0
  while [ $i -lt 50 ] && ! epmd -port "$2" -kill 2>/dev/null | grep -q Killed; do
    epmd -port "$2" -names >/dev/null 2>&1 || break
    i=$((i+1)); sleep 0.1
  done
fi
rm -rf "$1"
`

// A leash ties a server to the life of this process.
type leash struct {
	cmd *exec.Cmd
	end io.WriteCloser
}

func newLeash(dir string, epmdPort int, root string) (*leash, error) {
	port := ""
	if epmdPort != 0 {
		port = strconv.Itoa(epmdPort)
	}
	cmd := exec.Command("/bin/sh", "-c", leashScript, "leash", dir, port, root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("brokers: leash: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("brokers: leash: %w", err)
	}
	return &leash{cmd, end}, nil
}

// release lets the leash clean up now and waits for it.
func (l *leash) release() error {
	_ = l.end.Close()
	return l.cmd.Wait()
}
