package brokers

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Answers says why the server at an amqp://, nats:// or kafka:// URL does not
// serve clients; nil where it does: AMQP logins are taken, JetStream is on, Kafka
// has a coordinator for groups.
func Answers(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return fmt.Errorf("brokers: address: %w", err)
	}
	switch u.Scheme {
	case "amqp", "amqps":
		return amqpAnswers(rawURL, u)
	case "nats":
		return natsAnswers(u)
	case "kafka":
		return kafkaAnswers(u)
	}
	return fmt.Errorf("brokers: address %s: want amqp://, amqps://, nats:// or kafka://", u.Redacted())
}

func amqpAnswers(rawURL string, u *url.URL) error {
	if u.Scheme == "amqp" {
		// A version that it does not know makes the server say its own and hang
		// up, without the log entry that a broken login leaves.
		c, err := dial(u, "5672")
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
			return fmt.Errorf("brokers: %s: %w", u.Host, err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return fmt.Errorf("brokers: %s: %w", u.Host, err)
		}
	}
	conn, err := amqp.DialConfig(rawURL, amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return fmt.Errorf("brokers: %s: %w", u.Host, err)
	}
	return conn.Close()
}

func natsAnswers(u *url.URL) error {
	c, err := dial(u, "4222")
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return fmt.Errorf("brokers: %s: %w", u.Host, err)
	}
	if !strings.Contains(info, `"jetstream":true`) {
		return fmt.Errorf("brokers: %s: JetStream is off: start the server with -js", u.Host)
	}
	return nil
}

func dial(u *url.URL, defaultPort string) (net.Conn, error) {
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), defaultPort)
	}
	c, err := net.DialTimeout("tcp", host, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("brokers: %w", err)
	}
	return c, c.SetDeadline(time.Now().Add(5 * time.Second))
}
