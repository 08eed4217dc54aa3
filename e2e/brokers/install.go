package brokers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

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

// aptGet installs a package and starts no service.
func aptGet(ctx context.Context, say io.Writer, name string) error {
	if _, err := os.Stat(policyFile); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(policyFile, []byte("#!/bin/sh\nexit 101\n"), 0o755); err == nil {
			defer os.Remove(policyFile)
		}
	}
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-y", "-q", "--no-install-recommends", name},
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
