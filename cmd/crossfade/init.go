package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/crossfade-mq/crossfade/adapters"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/draft"
)

// kinds are the adapters by the schemes of their addresses.
var kinds = map[string]string{"amqp": "rabbitmq", "amqps": "rabbitmq", "nats": "nats", "tls": "nats", "kafka": "kafka", "kafka+tls": "kafka"}

// initPatience bounds looking at one system.
const initPatience = 20 * time.Second

func newInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init --from URL --to URL",
		Short: "Write a first configuration from what there is at two systems",
		Long: `Look at two systems and write a configuration with comments: one relay for each
exchange, stream or topic of the incumbent that can be tapped; those that cannot are
named with the reason. Nothing is changed at either side.

RabbitMQ lists what it has through its management API only: name it with
--from-management (or --to-management) where RabbitMQ stands there.

No password is written. One that stands in an address becomes ${env:NAME}; an
address may hold such a reference itself, so that it stands on no command line.
An existing file is never overwritten.

` + exitHelp,
		Args: cobra.NoArgs,
	}
	var from, to sideFlags
	from.add(cmd, "from", "incumbent")
	to.add(cmd, "to", "candidate")
	name := cmd.Flags().String("name", "migration", "the bridge's name")
	file := cmd.Flags().StringP("out", "o", "", "the file to write; without it, standard output")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o := &origin{secrets: map[string]string{}}
		sides := make([]draft.Side, 2)
		for i, f := range []*sideFlags{&from, &to} {
			var err error
			if sides[i], err = f.side(o); err != nil {
				return err
			}
		}
		return o.write(cmd, *name, *file, sides)
	}
	return cmd
}

// sideFlags say where one system is.
type sideFlags struct {
	flag, name      string
	url, management *string
}

func (f *sideFlags) add(cmd *cobra.Command, flag, name string) {
	f.flag, f.name = flag, name
	f.url = cmd.Flags().String(flag, "", "address of the "+name+": amqp://, amqps://, nats://, kafka:// or kafka+tls://")
	f.management = cmd.Flags().String(flag+"-management", "", "address of its management API, where it is RabbitMQ: http://HOST:15672")
}

// An origin keeps the secrets that stand in addresses and are not written.
type origin struct {
	secrets map[string]string // by the names of the variables
	names   []string
}

// secret gives what is written in the place of a secret.
func (o *origin) secret(variable, value string) string {
	if strings.Contains(value, "${") {
		return value // a reference already
	}
	if _, again := o.secrets[variable]; !again {
		o.names = append(o.names, variable)
	}
	o.secrets[variable] = value
	return "${env:" + variable + "}"
}

// environment is that of the process, with the secrets.
func (o *origin) environment(name string) (string, bool) {
	if v, ok := o.secrets[name]; ok {
		return v, true
	}
	return os.LookupEnv(name)
}

// side makes the lines of a system out of its flags.
func (f *sideFlags) side(o *origin) (draft.Side, error) {
	s := draft.Side{Name: f.name}
	scheme, rest, ok := strings.Cut(*f.url, "://")
	if s.Kind = kinds[scheme]; !ok || s.Kind == "" {
		return s, fmt.Errorf("--%s: want an address such as amqp://user@host:5672/vhost, nats://host:4222 or kafka://host:9092", f.flag)
	}
	user, password, has, host := userOf(rest)
	if strings.ContainsAny(host, ", ") && s.Kind != "kafka" {
		return s, fmt.Errorf("--%s: want one address; more of one cluster go into the file as urls", f.flag)
	}
	variable := strings.ToUpper(f.name)
	switch {
	case s.Kind == "rabbitmq":
		if user != "" {
			host = user + "@" + host
		}
		s.Settings = append(s.Settings, "url: "+yamlText(scheme+"://"+host))
		if has {
			s.Settings = append(s.Settings, "password: "+yamlText(o.secret(variable+"_PASSWORD", password)))
		}
		if *f.management != "" {
			s.Settings = append(s.Settings, "management: "+yamlText(o.management(variable, *f.management)))
		}
		return s, nil
	case *f.management != "":
		return s, fmt.Errorf("--%s-management: only RabbitMQ has one", f.flag)
	case s.Kind == "kafka":
		s.Settings = kafkaLines(scheme, host)
		if has {
			s.Settings = append(s.Settings, "sasl:", "  mechanism: plain  # or scram-sha-256, scram-sha-512",
				"  user: "+yamlText(plainUser(user)), "  password: "+yamlText(o.secret(variable+"_PASSWORD", password)))
		}
		return s, nil
	}
	s.Settings = append(s.Settings, "url: "+yamlText(scheme+"://"+host))
	switch {
	case has:
		s.Settings = append(s.Settings, "user: "+yamlText(plainUser(user)), "password: "+yamlText(o.secret(variable+"_PASSWORD", password)))
	case user != "": // a token
		s.Settings = append(s.Settings, "token: "+yamlText(o.secret(variable+"_TOKEN", plainUser(user))))
	}
	return s, nil
}

// kafkaLines are the brokers of a Kafka cluster, and whether they want TLS.
func kafkaLines(scheme, hosts string) []string {
	var brokers []string
	for _, b := range strings.Split(strings.TrimSuffix(hosts, "/"), ",") {
		brokers = append(brokers, yamlText(b))
	}
	out := []string{"brokers: [" + strings.Join(brokers, ", ") + "]"}
	if scheme == "kafka+tls" {
		out = append(out, "tls: {}  # ca, cert and key where the machine's own certificates are not enough")
	}
	return out
}

// userOf parts an address, without its scheme, into who and where. A password is
// as it was before it was escaped for the address.
func userOf(rest string) (user, password string, has bool, host string) {
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return "", "", false, rest
	}
	user, password, has = strings.Cut(rest[:at], ":")
	if strings.HasPrefix(user, "${") && has { // the ':' of a reference
		end := strings.IndexByte(rest[:at], '}') + 1
		user = rest[:end]
		password, has = strings.CutPrefix(rest[end:at], ":")
	}
	return user, plainUser(password), has, rest[at+1:]
}

// plainUser undoes the escapes of an address.
func plainUser(s string) string {
	if u, err := url.PathUnescape(s); err == nil && !strings.Contains(s, "${") {
		return u
	}
	return s
}

// management is the address of the API without a password in it.
func (o *origin) management(variable, address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	if !ok {
		return address // the adapter says what is wrong with it
	}
	user, password, has, host := userOf(rest)
	if !has {
		return address
	}
	if !strings.Contains(password, "${") {
		password = strings.TrimPrefix(url.UserPassword("", password).String(), ":") // as an address has it
	}
	return scheme + "://" + user + ":" + o.secret(variable+"_MANAGEMENT_PASSWORD", password) + "@" + host
}

// yamlText is a text in quotes.
func yamlText(s string) string { return fmt.Sprintf("%+q", s) }

// write looks at both systems and writes the file.
func (o *origin) write(cmd *cobra.Command, name, file string, sides []draft.Side) error {
	options := config.Options{Adapters: adapters.Table(), Environment: o.environment}
	var text strings.Builder
	text.WriteString("systems:\n")
	for _, s := range sides {
		fmt.Fprintf(&text, "  - name: %s\n    kind: %s\n    %s\n", s.Name, s.Kind, strings.Join(s.Settings, "\n    "))
	}
	systems, err := config.ParseSystems("the addresses", []byte(text.String()), options)
	if err != nil {
		return err
	}
	for i, s := range systems {
		if sides[i].Topology, err = look(cmd.Context(), s); err != nil {
			return failure{fmt.Errorf("%s: %w", s.Name, err)}
		}
	}
	if len(sides[0].Blind) > 0 {
		return errors.New("--from-management is missing: RabbitMQ lists its exchanges and queues through the management API only. " +
			"Write --from-management http://HOST:15672 (rabbitmq-plugins enable rabbitmq_management), or write the file by hand; configs/rabbitmq-to-nats.yaml is one")
	}
	d, err := draft.Write(name, sides[0], sides[1])
	if err != nil {
		return failure{err}
	}
	if _, err := config.Parse("the draft", []byte(d.Text), options); err != nil {
		return failure{fmt.Errorf("what was drafted cannot be loaded, which is a mistake of this program: %w", err)}
	}
	return o.finish(cmd, file, &d)
}

// look surveys one system.
func look(ctx context.Context, s *config.System) (bridge.Topology, error) {
	surveyor, ok := s.System.(bridge.Surveyor)
	if !ok {
		return bridge.Topology{}, fmt.Errorf("systems of kind %s say nothing of themselves", s.Kind)
	}
	ctx, cancel := context.WithTimeout(ctx, initPatience)
	defer cancel()
	return surveyor.Survey(ctx, nil)
}

// finish writes the draft, to a new file only.
func (o *origin) finish(cmd *cobra.Command, file string, d *draft.Draft) error {
	if file == "" {
		if _, err := io.WriteString(cmd.OutOrStdout(), d.Text); err != nil {
			return failure{err}
		}
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already and is not overwritten: name another file with -o", file)
	}
	if err != nil {
		return failure{err}
	}
	_, err = f.WriteString(d.Text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failure{err}
	}
	var next strings.Builder
	fmt.Fprintf(&next, "Wrote %s: %d relays; %d things have none, the file says why.\n", file, d.Relays, d.Left)
	for _, name := range o.names {
		fmt.Fprintf(&next, "Set %s in the environment: no password was written.\n", name)
	}
	fmt.Fprintf(&next, "Read it, then: crossfade plan -c %s\n", file)
	if _, err := io.WriteString(cmd.OutOrStdout(), next.String()); err != nil {
		return failure{err}
	}
	return nil
}
