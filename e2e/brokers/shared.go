package brokers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The variables that hold the addresses of the servers that tests share.
const (
	envAMQP  = "CROSSFADE_TEST_AMQP"
	envAMQP4 = "CROSSFADE_TEST_AMQP4"
	envNATS  = "CROSSFADE_TEST_NATS"
	envKafka = "CROSSFADE_TEST_KAFKA"
)

func envName(kind Kind) string {
	switch kind {
	case KindRabbitMQ:
		return envAMQP
	case KindRabbitMQ4:
		return envAMQP4
	case KindKafka:
		return envKafka
	}
	return envNATS
}

// Root is the folder of the servers: .brokers in the repository.
func Root() (string, error) {
	repo, err := Repository()
	if err != nil {
		return "", err
	}
	return filepath.Join(repo, ".brokers"), nil
}

// Up makes a RabbitMQ of each generation, a NATS and a Kafka run for tests and
// writes their addresses to the file env in root: those that the environment names, those that run already,
// else through Docker Compose where an engine answers, else natively. What
// cannot be had is said, and is an error only in CI.
func Up(ctx context.Context, root string, say io.Writer) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	path := filepath.Join(root, "env")
	urls := map[string]string{}
	var absent []Kind
	for _, kind := range allKinds {
		name := envName(kind)
		if u := os.Getenv(name); u != "" {
			if err := Answers(u); err != nil {
				return fmt.Errorf("%s is set: %w", name, err)
			}
			urls[name] = u
		} else if u := readEnv(path)[name]; u != "" && Answers(u) == nil {
			urls[name] = u
		} else {
			absent = append(absent, kind)
		}
	}
	if len(absent) > 0 && dockerAnswers(ctx) {
		if err := composeUp(ctx, root, absent, urls); err != nil {
			fmt.Fprintf(say, "brokers: docker compose: %v: starting them natively\n", err)
		} else {
			absent = nil
		}
	}
	var errs []error
	for _, kind := range absent {
		u, err := upNative(ctx, root, kind, say)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		urls[envName(kind)] = u
	}
	if err := writeEnv(path, urls); err != nil {
		return err
	}
	for _, kind := range allKinds {
		name := envName(kind)
		if u := urls[name]; u != "" {
			fmt.Fprintf(say, "%s=%s\n", name, u)
		}
	}
	return upResult(errs, say)
}

// Running says why the servers that Up left do not answer; nil where they do.
func Running(root string) error {
	urls := readEnv(filepath.Join(root, "env"))
	for _, kind := range allKinds {
		name := envName(kind)
		if urls[name] == "" && !InCI() && errors.Is(installed(kind), ErrUnavailable) {
			continue // up has said that this user cannot have it
		}
		if urls[name] == "" {
			return fmt.Errorf("brokers: make up has started none for %s", name)
		}
		if err := Answers(urls[name]); err != nil {
			return err
		}
	}
	return nil
}

func upResult(errs []error, say io.Writer) error {
	err := errors.Join(errs...)
	if err == nil {
		return nil
	}
	for _, e := range errs {
		if InCI() || !errors.Is(e, ErrUnavailable) {
			return err
		}
		fmt.Fprintf(say, "\n*** %v ***\n\n", e)
	}
	return nil
}

func upNative(ctx context.Context, root string, kind Kind, say io.Writer) (string, error) {
	var err error
	switch kind {
	case KindRabbitMQ:
		err = InstallRabbitMQ(ctx, say)
	case KindRabbitMQ4:
		err = InstallRabbitMQ4(ctx, say)
	case KindKafka:
		err = InstallKafka(ctx, say)
	}
	if err != nil {
		return "", err
	}
	s, err := New(kind, filepath.Join(root, "up"))
	if err != nil {
		return "", err
	}
	if err := s.Start(ctx); err != nil {
		return "", errors.Join(err, s.Remove())
	}
	return s.URL(), nil
}

// Down stops what Up started, with its port mapper and its data. Servers of
// running tests and servers that the environment names are left alone.
func Down(ctx context.Context, root string) error {
	var errs []error
	dirs, err := filepath.Glob(filepath.Join(root, "up", "*", "server.json"))
	errs = append(errs, err)
	for _, d := range dirs {
		s, err := Attach(filepath.Dir(d))
		if err == nil {
			err = s.Remove()
		}
		errs = append(errs, err)
	}
	errs = append(errs, composeDown(ctx, root))
	if err := os.Remove(filepath.Join(root, "env")); !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	_ = os.Remove(filepath.Join(root, "up")) // stays where it is not empty
	_ = os.Remove(root)
	return errors.Join(errs...)
}

// readEnv reads lines of NAME=VALUE; a file that is not there has none.
func readEnv(path string) map[string]string {
	values := map[string]string{}
	f, err := os.Open(path)
	if err != nil {
		return values
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			values[name] = value
		}
	}
	return values
}

func writeEnv(path string, values map[string]string) error {
	var b strings.Builder
	for _, kind := range allKinds {
		name := envName(kind)
		if v := values[name]; v != "" {
			fmt.Fprintf(&b, "%s=%s\n", name, v)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	return nil
}
