package brokers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// composeMark is the file in root that says that Up used Docker Compose.
const composeMark = "compose"

// dockerAnswers says whether a Docker engine with Compose can be used.
func dockerAnswers(ctx context.Context) bool {
	if _, err := exec.LookPath("docker"); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, "docker", "info").Run() == nil &&
		exec.CommandContext(ctx, "docker", "compose", "version").Run() == nil
}

// composeUp starts the kinds and waits until their health checks pass.
func composeUp(ctx context.Context, root string, kinds []Kind, urls map[string]string) error {
	ports, err := freePorts(4)
	if err != nil {
		return err
	}
	args := []string{"up", "--detach", "--wait"}
	for _, k := range kinds {
		args = append(args, string(k))
	}
	if err := os.WriteFile(filepath.Join(root, composeMark), nil, 0o644); err != nil {
		return err
	}
	port := map[Kind]int{KindRabbitMQ: ports[0], KindRabbitMQ4: ports[1], KindNATS: ports[2], KindKafka: ports[3]}
	env := []string{
		"AMQP_PORT=" + strconv.Itoa(ports[0]), "AMQP4_PORT=" + strconv.Itoa(ports[1]),
		"NATS_PORT=" + strconv.Itoa(ports[2]), "KAFKA_PORT=" + strconv.Itoa(ports[3]),
	}
	if err := compose(ctx, root, env, args...); err != nil {
		return errors.Join(err, composeDown(ctx, root))
	}
	for _, k := range kinds {
		s := &Server{Kind: k, Ports: []int{port[k]}}
		if err := awaitAnswers(ctx, s.URL()); err != nil {
			return errors.Join(err, composeDown(ctx, root))
		}
		urls[envName(k)] = s.URL()
	}
	return nil
}

// awaitAnswers waits until the server serves clients: the health check of Kafka
// passes before it has a coordinator for groups.
func awaitAnswers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := Answers(url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// composeDown removes the containers and volumes that composeUp made, if it did.
func composeDown(ctx context.Context, root string) error {
	mark := filepath.Join(root, composeMark)
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := compose(ctx, root, nil, "down", "--volumes", "--timeout", "5"); err != nil {
		return err
	}
	return os.Remove(mark)
}

func compose(ctx context.Context, root string, env []string, args ...string) error {
	repo, err := Repository()
	if err != nil {
		return err
	}
	// One project for each root, so that two checkouts do not share containers.
	all := append([]string{"compose", "--project-name", "crossfade-" + strings.ToLower(filepath.Base(filepath.Dir(root))),
		"--file", filepath.Join(repo, "e2e", "compose.yaml")}, args...)
	cmd := exec.CommandContext(ctx, "docker", all...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("docker compose %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}
