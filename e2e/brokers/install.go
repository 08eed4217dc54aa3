package brokers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// envServers names the folder of the installed servers, which checkouts share;
// by default crossfade in the user's folder for caches.
const envServers = "CROSSFADE_SERVERS"

// serverFolder is the folder of an installed server, which is there or is to be
// made.
func serverFolder(name string) (string, error) {
	if dir := os.Getenv(envServers); dir != "" {
		return filepath.Abs(filepath.Join(dir, name))
	}
	dir, err := os.UserCacheDir()
	if err != nil { // a machine of CI may give its user no home
		dir = os.TempDir()
	}
	return filepath.Join(dir, "crossfade", name), nil
}

// policyFile, when it says 101, keeps Debian's packages from starting services.
const policyFile = "/usr/sbin/policy-rc.d"

// InstallRabbitMQ installs Debian's package where there is none and the user may
// install; the system's own service is not started. Otherwise it answers
// ErrUnavailable with what to do.
func InstallRabbitMQ(ctx context.Context, say io.Writer) error {
	missing := rabbitInstalled()
	if missing == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return missing
	}
	fmt.Fprintln(say, "brokers: installing rabbitmq-server with apt-get")
	if err := aptGet(ctx, say, "rabbitmq-server"); err != nil {
		return fmt.Errorf("%w (%w)", missing, err)
	}
	return rabbitInstalled()
}

// aptGet installs packages and starts no service.
func aptGet(ctx context.Context, say io.Writer, names ...string) error {
	if _, err := os.Stat(policyFile); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policyFile, []byte("#!/bin/sh\nexit 101\n"), 0o755); err == nil {
			defer os.Remove(policyFile)
		}
	}
	for _, args := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-y", "-q", "--no-install-recommends"}, names...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = say, say
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}
