package brokers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// natsModule is the server that is built, in the version that go.mod pins.
const natsModule = "github.com/nats-io/nats-server/v2"

func natsInstalled() error {
	if _, err := exec.LookPath("go"); err != nil {
		return fmt.Errorf("nats: %w: install Go (the server is built from its module), "+
			"or start Docker and run make up, or set %s to a server for tests", ErrUnavailable, envNATS)
	}
	return nil
}

func (s *Server) natsCommand() (*exec.Cmd, error) {
	binary, err := buildNATS()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("server_name: crossfade%d\nlisten: %q\njetstream { store_dir: %q }\n",
		s.Ports[0], Address(s.Ports[0]), filepath.Join(s.Dir, "data"))
	path := filepath.Join(s.Dir, "nats.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		return nil, fmt.Errorf("brokers: nats: %w", err)
	}
	cmd := exec.Command(binary, "-c", path)
	cmd.Env = append(os.Environ(), "CROSSFADE_BROKER="+s.Dir)
	return cmd, nil
}

// buildNATS gives the path of the server's binary, which is built once for each
// version.
func buildNATS() (string, error) {
	repo, err := Repository()
	if err != nil {
		return "", err
	}
	version, err := goOutput(repo, "list", "-m", "-f", "{{.Version}}", natsModule)
	if err != nil {
		return "", err
	}
	binary := filepath.Join(repo, "bin", "nats-server-"+version)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", fmt.Errorf("brokers: nats: %w", err)
	}
	// Built aside and renamed: another test process may be building it too.
	aside := fmt.Sprintf("%s.%d", binary, os.Getpid())
	if _, err := goOutput(repo, "build", "-o", aside, natsModule); err != nil {
		return "", err
	}
	if err := os.Rename(aside, binary); err != nil {
		return "", fmt.Errorf("brokers: nats: %w", err)
	}
	return binary, nil
}

func goOutput(dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("brokers: go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Repository is the folder of the go.mod above the working directory.
func Repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("brokers: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("brokers: no go.mod above %s: run it inside the repository", dir)
		}
	}
}
