package brokers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// rabbit4Suite is the Debian release whose package RabbitMQ 4.0 is.
const rabbit4Suite = "trixie"

// Install installs the servers of every kind that are not part of the module.
func Install(ctx context.Context, say io.Writer) error {
	return errors.Join(InstallRabbitMQ(ctx, say), InstallRabbitMQ4(ctx, say), InstallKafka(ctx, say))
}

// InstallRabbitMQ4 makes a folder with a small Debian that has RabbitMQ 4, from
// the mirror that this machine's own packages come from. Where the user may not
// do that it answers ErrUnavailable with what to do.
func InstallRabbitMQ4(ctx context.Context, say io.Writer) error {
	missing := rabbit4Installed()
	if missing == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return missing
	}
	root, err := Rabbit4Root()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	unlock, err := lock(root + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if rabbit4Installed() == nil { // another process has made it meanwhile
		return nil
	}
	if err := debootstrap(ctx, root, say); err != nil {
		return fmt.Errorf("%w (%w)", missing, err)
	}
	return rabbit4Installed()
}

// debootstrap fills a folder beside root and renames it: a root that is there is
// whole.
func debootstrap(ctx context.Context, root string, say io.Writer) error {
	mirror, err := debianMirror(ctx)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath("debootstrap"); err != nil {
		fmt.Fprintln(say, "brokers: installing debootstrap with apt-get")
		if err := aptGet(ctx, say, "debootstrap"); err != nil {
			return err
		}
	}
	aside := root + ".part"
	for _, dir := range []string{aside, root} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("brokers: %w", err)
		}
	}
	fmt.Fprintf(say, "brokers: installing RabbitMQ 4 in %s with debootstrap\n", root)
	// In mounts of its own: one that is interrupted leaves none behind.
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--propagation", "private",
		"debootstrap", "--variant=minbase", "--include=rabbitmq-server", rabbit4Suite, aside, mirror)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		text := out.String()
		return errors.Join(fmt.Errorf("debootstrap: %w: %s", err, text[max(0, len(text)-1000):]), os.RemoveAll(aside))
	}
	hosts := filepath.Join(aside, "etc", "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	// The packages that were fetched are a third of it.
	packages, err := filepath.Glob(filepath.Join(aside, "var/cache/apt/archives/*.deb"))
	for _, p := range packages {
		err = errors.Join(err, os.Remove(p))
	}
	return errors.Join(err, os.Rename(aside, root))
}

// debianMirror is where this machine's apt finds the main part of its release.
func debianMirror(ctx context.Context) (string, error) {
	release := readEnv("/etc/os-release")
	name := strings.Trim(release["VERSION_CODENAME"], `"`)
	if id := strings.Trim(release["ID"], `"`); id != "debian" {
		return "", fmt.Errorf("brokers: this machine is %q, not a Debian", id)
	}
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("brokers: apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] == name && f[2] == "main" {
			return f[0], nil
		}
	}
	return "", fmt.Errorf("brokers: apt's sources name no mirror of %s main", name)
}

// lock waits until no other process holds the file, and holds it.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("brokers: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("brokers: lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
