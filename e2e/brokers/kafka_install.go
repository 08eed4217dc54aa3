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
)

// kafkaPackages are Debian's packages with what fetches and runs Kafka.
var kafkaPackages = []string{"openjdk-17-jre-headless", "maven"}

// InstallKafka fetches the published jars of Apache Kafka with Maven, from where
// this machine's Maven finds them, and installs Debian's packages of Java and
// Maven where they are missing and the user may install. Otherwise it answers
// ErrUnavailable with what to do.
func InstallKafka(ctx context.Context, say io.Writer) error {
	missing := kafkaInstalled()
	if missing == nil {
		return nil
	}
	if err := installJava(ctx, say); err != nil {
		return fmt.Errorf("%w (%w)", missing, err)
	}
	root, err := KafkaRoot()
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
	if kafkaInstalled() == nil { // another process has fetched them meanwhile
		return nil
	}
	if err := fetchKafka(ctx, root, say); err != nil {
		return fmt.Errorf("%w (%w)", missing, err)
	}
	return kafkaInstalled()
}

// installJava installs Java and Maven where they are missing.
func installJava(ctx context.Context, say io.Writer) error {
	_, err := exec.LookPath("mvn")
	if err = errors.Join(err, javaInstalled()); err == nil {
		return nil
	}
	if _, apt := exec.LookPath("apt-get"); apt != nil || os.Geteuid() != 0 {
		return err
	}
	fmt.Fprintf(say, "brokers: installing %s with apt-get\n", strings.Join(kafkaPackages, " and "))
	if err := aptGet(ctx, say, kafkaPackages...); err != nil {
		return err
	}
	return javaInstalled()
}

// fetchKafka fills a folder beside root and renames it: a root that is there is
// whole.
func fetchKafka(ctx context.Context, root string, say io.Writer) error {
	aside := root + ".part"
	for _, dir := range []string{aside, root} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("brokers: %w", err)
		}
	}
	fmt.Fprintf(say, "brokers: fetching Apache Kafka %s into %s with Maven\n", kafkaVersion, root)
	project, err := os.MkdirTemp("", "crossfade-kafka-")
	if err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	defer os.RemoveAll(project)
	pom := filepath.Join(project, "pom.xml")
	if err := os.WriteFile(pom, kafkaPOM, 0o644); err != nil {
		return fmt.Errorf("brokers: %w", err)
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies",
		"-DincludeScope=runtime", "-DoutputDirectory="+aside)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("mvn: %w: %s", err, out[max(0, len(out)-1000):]), os.RemoveAll(aside))
	}
	return os.Rename(aside, root)
}
