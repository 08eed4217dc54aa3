package brokers

import (
	"maps"
	"slices"
	"strings"
)

// KafkaSecurity is what a Kafka asks of those who connect to its clients' port: TLS,
// and SASL with PLAIN and SCRAM.
type KafkaSecurity struct {
	// Cert and Key are the server's, in PEM, the key as PKCS #8.
	Cert, Key string
	// Clients vouches for clients' certificates, in PEM, which they have to have.
	Clients string
	// Users are names and passwords, of letters and digits.
	Users map[string]string
}

// Secured is the address, as HOST:PORT, where a Kafka with Security lets clients in.
func (s *Server) Secured() string { return Address(s.Ports[0]) }

// users are those that the storage begins with, as its tool wants them.
func (k *KafkaSecurity) users() string {
	if k == nil {
		return ""
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(k.Users)) {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			all = append(all, "--add-scram "+mechanism+"=[name="+name+",password="+k.Users[name]+"]")
		}
	}
	return strings.Join(all, " ")
}

// properties come behind the usual ones: of two with one name the last counts. The
// brokers themselves, and tests, connect by the way that is a detour otherwise.
func (k *KafkaSecurity) properties(client, inner string) []string {
	if k == nil {
		return nil
	}
	line := func(pem string) string { return strings.ReplaceAll(strings.TrimSpace(pem), "\n", `\n`) }
	module := "org.apache.kafka.common.security."
	plain := module + "plain.PlainLoginModule required"
	for _, name := range slices.Sorted(maps.Keys(k.Users)) {
		plain += " user_" + name + `="` + k.Users[name] + `"`
	}
	return []string{
		"listener.security.protocol.map=PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT",
		"advertised.listeners=PLAINTEXT://" + client + ",DETOUR://" + inner,
		"inter.broker.listener.name=DETOUR",
		"ssl.keystore.type=PEM",
		"ssl.keystore.certificate.chain=" + line(k.Cert),
		"ssl.keystore.key=" + line(k.Key),
		"ssl.truststore.type=PEM",
		"ssl.truststore.certificates=" + line(k.Clients),
		"listener.name.plaintext.ssl.client.auth=required",
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.plaintext.plain.sasl.jaas.config=" + plain + ";",
		"listener.name.plaintext.scram-sha-256.sasl.jaas.config=" + module + "scram.ScramLoginModule required;",
		"listener.name.plaintext.scram-sha-512.sasl.jaas.config=" + module + "scram.ScramLoginModule required;",
	}
}
