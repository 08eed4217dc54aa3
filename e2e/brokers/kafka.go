package brokers

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	// kafkaVersion is that of kafka.pom.xml.
	kafkaVersion = "4.3.1"
	// kafkaJava is the lowest version of Java that it runs on.
	kafkaJava = 17
)

// kafkaPOM names the published jars that a server consists of.
//
//go:embed kafka.pom.xml
var kafkaPOM []byte

// KafkaRoot is the folder that holds Kafka's jars, or is to hold them.
func KafkaRoot() (string, error) { return serverFolder("kafka-" + kafkaVersion) }

// kafkaInstalled says why Kafka cannot be started here.
func kafkaInstalled() error {
	root, err := KafkaRoot()
	if err != nil {
		return err
	}
	what := javaInstalled()
	if _, err := os.Stat(filepath.Join(root, "kafka_2.13-"+kafkaVersion+".jar")); err != nil {
		what = errors.Join(what, fmt.Errorf("its jars are not in %s", root))
	}
	if what == nil {
		return nil
	}
	return fmt.Errorf("kafka: %w (%w): install Java %d and Maven (Debian, Ubuntu: apt-get install %s) and run "+
		"go run ./e2e/brokers/cmd install, or start Docker and run make up, or set %s to a server for tests",
		ErrUnavailable, what, kafkaJava, strings.Join(kafkaPackages, " "), envKafka)
}

// javaVersion finds the version in what java -version prints; before Java 9 that
// began with "1.".
var javaVersion = regexp.MustCompile(`version "(?:1\.)?(\d+)`)

func javaInstalled() error {
	out, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return fmt.Errorf("java: %w", err)
	}
	m := javaVersion.FindSubmatch(out)
	if m == nil {
		return fmt.Errorf("java -version prints %q", out)
	}
	if n, err := strconv.Atoi(string(m[1])); err != nil || n < kafkaJava {
		return fmt.Errorf("java is version %s", m[1])
	}
	return nil
}

// kafkaCompiler leaves Java's second compiler out, which takes half of the CPU of
// a start and comes to nothing in the life of a test's server.
const kafkaCompiler = "-XX:TieredStopAtLevel=1"

// kafkaScript starts a node, on storage that it formats where that is new: $1 is
// the cluster's ID, $2 the users that it begins with, and the rest is what runs Java
// with the jars.
const kafkaScript = `
ulimit -n "$(ulimit -Hn)" 2>/dev/null
id="$1"
users="$2"
shift 2
[ -f data/meta.properties ] ||
  "$@" kafka.tools.StorageTool format --standalone --ignore-formatted -t "$id" -c server.properties $users || exit
exec "$@" kafka.Kafka server.properties
`

// kafkaCommand starts a broker and controller in one process, in the server's
// folder.
func (s *Server) kafkaCommand() (*exec.Cmd, error) {
	root, err := KafkaRoot()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "server.properties"), []byte(s.kafkaProperties()), 0o644); err != nil {
		return nil, fmt.Errorf("brokers: kafka: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", kafkaScript, "kafka", clusterID(), s.Security.users(),
		"java", "-Xms256m", "-Xmx512m", kafkaCompiler, "-Djava.awt.headless=true", "-Dorg.apache.logging.log4j.level=WARN",
		"-cp", filepath.Join(root, "*"))
	cmd.Env = append(os.Environ(), "CROSSFADE_BROKER="+s.Dir)
	return cmd, nil
}

// kafkaProperties are Kafka's defaults but for what a single node needs, and for
// what makes it start sooner and groups form at once. Topics are made by whoever
// needs them: one that a typing error makes is found by nobody.
func (s *Server) kafkaProperties() string {
	client, controller := Address(s.Ports[0]), Address(s.Ports[1])
	through, from := s.Detour()
	return strings.Join(append([]string{
		"node.id=1",
		"process.roles=broker,controller",
		"listeners=PLAINTEXT://" + client + ",CONTROLLER://" + controller + ",DETOUR://" + from,
		"advertised.listeners=PLAINTEXT://" + client + ",DETOUR://" + through,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"controller.quorum.bootstrap.servers=" + controller,
		"log.dirs=" + filepath.Join(s.Dir, "data"),
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=5",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=5",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"share.coordinator.state.topic.num.partitions=1",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"auto.create.topics.enable=false",
	}, s.Security.properties(client, from)...), "\n") + "\n"
}

// Detour is a second way to a Kafka, for a proxy of the test's: brokers tell clients
// where they are, so a proxy has to be where they say. What comes through the
// address from is told to connect to through, on which nobody listens but the proxy.
func (s *Server) Detour() (through, from string) { return Address(s.Ports[3]), Address(s.Ports[2]) }

// clusterID makes an ID for a cluster, as the storage tool's random-uuid does:
// one that begins with a dash would be taken for an option.
func clusterID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(b[:])
}
