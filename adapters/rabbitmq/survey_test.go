package rabbitmq

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/crossfade-mq/crossfade/bridge"
)

// An api is a management API that answers with what it is given, to one user.
type api struct {
	lists     map[string]string // by the path behind /api/
	forbidden []string
	asked     []string
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	list := strings.TrimPrefix(r.URL.EscapedPath(), "/prefix/api/")
	a.asked = append(a.asked, list)
	if user, password, _ := r.BasicAuth(); user != "reader" || password != "s3cret" || slices.Contains(a.forbidden, list) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, ok := a.lists[list]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = fmt.Fprint(w, body)
}

func listing() *api {
	return &api{lists: map[string]string{
		"exchanges/%2F": `[{"name":"","type":"direct","durable":true},{"name":"amq.rabbitmq.trace","type":"topic","durable":true},
			{"name":"t","type":"topic","durable":true,"arguments":{"alternate-exchange":"f"}},{"name":"h","type":"x-consistent-hash","durable":true,"arguments":{}},
			{"name":"f","type":"fanout","durable":false,"auto_delete":true,"internal":true,"arguments":{}},{"name":"crossfade.x","type":"fanout","durable":true}]`,
		"queues/%2F": `[{"name":"q","durable":true,"arguments":{"x-queue-type":"quorum","x-message-ttl":60000,"x-max-length":100}},{"name":"classic","durable":false,"auto_delete":true,"arguments":{"x-odd":1.5}},
			{"name":"mine","exclusive":true,"arguments":{}},{"name":"s","durable":true,"arguments":{"x-queue-type":"stream","x-max-age":"7D"}},{"name":"crossfade.b.r.tap","durable":true,"arguments":{"x-queue-type":"quorum"}}]`,
		"bindings/%2F": `[{"source":"","destination":"q","destination_type":"queue","routing_key":"q","arguments":{}},{"source":"t","destination":"q","destination_type":"queue","routing_key":"a.#","arguments":{}},
			{"source":"t","destination":"s","destination_type":"queue","routing_key":"#","arguments":{"x-match":"all","n":5}},{"source":"t","destination":"f","destination_type":"exchange","routing_key":"b","arguments":{}},
			{"source":"t","destination":"mine","destination_type":"queue","routing_key":"m","arguments":{}}]`,
		"policies/%2F":          `[{"name":"low","pattern":"^q$","apply-to":"all","priority":1,"definition":{"max-length":7}},{"name":"high","pattern":"^(q|s)$","apply-to":"queues","priority":5,"definition":{"message-ttl":1000,"max-length":200,"dead-letter-exchange":"f"}},{"name":"odd","pattern":"(?<=x)","apply-to":"all","definition":{}}]`,
		"operator-policies/%2F": `[{"name":"ops","pattern":"","apply-to":"queues","priority":0,"definition":{"max-length":50,"expires":9000}}]`,
		"nodes":                 `[{"name":"a"},{"name":"b"},{"name":"c"}]`,
	}}
}

func (a *api) system(t *testing.T) *system {
	t.Helper()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	s, err := newSystem("s", settings("url: amqp://reader:wrong@localhost/\nmanagement: "+strings.Replace(server.URL, "http://", "http://reader:s3cret@", 1)+"/prefix/"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inShort is an object with its settings.
func inShort(o bridge.Object) string {
	s := o.Kind + " " + o.Name
	if o.Role == bridge.RoleBinding {
		s = fmt.Sprintf("%s>%s %s", o.From, o.Name, o.Key)
	}
	for _, x := range o.Settings {
		if s += fmt.Sprintf(" %s=%v", x.Name, x.Value); x.By != "" {
			s += "(" + x.By + ")"
		}
	}
	if o.Own {
		s += " own"
	}
	return s
}

// The management API's lists become objects, with what policies make of them; what
// a connection has for itself and the default exchange are left out.
func TestSurveyByTheManagementAPI(t *testing.T) {
	a := listing()
	found := bridge.Topology{}
	if err := a.system(t).list(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	var got []string
	slices.SortFunc(found.Objects, func(a, b bridge.Object) int { return a.Compare(&b) })
	for _, o := range found.Objects {
		got = append(got, inShort(o))
	}
	want := []string{
		"fanout exchange crossfade.x own", "fanout exchange f auto_delete=true durable=false internal=true", "x-consistent-hash exchange h", "topic exchange t alternate-exchange=f",
		"classic queue classic auto_delete=true durable=false expires=9000(ops) max-length=50(ops) x-odd=1.5",
		"quorum queue crossfade.b.r.tap expires=9000(ops) max-length=50(ops) own",
		"quorum queue q dead-letter-exchange=f(high) expires=9000(ops) max-length=50(ops) message-ttl=1000(high)",
		"stream s dead-letter-exchange=f(high) expires=9000(ops) max-length=50(ops) message-ttl=1000(high) x-max-age=7D",
		"t>f b", "t>q a.#", "t>s # n=5 x-match=all",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if found.Nodes != 3 || len(found.Unseen) != 1 || !strings.Contains(found.Unseen[0], `policy odd sets is not known`) {
		t.Errorf("%d nodes, unseen %q", found.Nodes, found.Unseen)
	}
	for name, want := range map[string]string{"h": "one more binding takes messages away", "t": "has an alternate exchange", "f": ""} {
		i := slices.IndexFunc(found.Objects, func(o bridge.Object) bool { return o.Role == bridge.RoleExchange && o.Name == name })
		if refusal := found.Objects[i].Refusal; !strings.Contains(refusal, want) || (refusal == "") != (want == "") {
			t.Errorf("exchange %s: %q, want %q", name, refusal, want)
		}
	}
}

// What a user may not see is said; what cannot be read at all is an error without
// the password in it.
func TestManagementRefuses(t *testing.T) {
	a := listing()
	a.forbidden = []string{"policies/%2F", "operator-policies/%2F", "nodes"}
	found := bridge.Topology{}
	if err := a.system(t).list(t.Context(), &found); err != nil {
		t.Fatal(err)
	}
	if found.Nodes != 0 || len(found.Unseen) != 2 || !strings.Contains(found.Unseen[0], "tag policymaker") {
		t.Errorf("%d nodes, unseen %q", found.Nodes, found.Unseen)
	}
	a.forbidden = []string{"exchanges/%2F"}
	err := a.system(t).list(t.Context(), &found)
	if bridge.ClassOf(err) != bridge.Stopping || !strings.Contains(bridge.HintOf(err), "tag management") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("forbidden: %v", err)
	}
	for list, body := range map[string]string{"queues/%2F": "[{", "bindings/%2F": ""} {
		a := listing()
		if a.lists[list] = body; body == "" {
			delete(a.lists, list)
		}
		if err := a.system(t).list(t.Context(), &found); err == nil || !strings.Contains(err.Error(), list) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", list, err)
		}
	}
	for _, address := range []string{"ftp://h", "h:15672", "http://", "http://u:s3cret@h:x"} {
		if _, err := newSystem("s", settings("url: amqp://localhost\nmanagement: "+address)); err == nil || !strings.Contains(err.Error(), "management cannot be read") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("management: %s: %v", address, err)
		}
	}
}

func TestAges(t *testing.T) {
	for s, want := range map[string]int64{"7D": 7 * 86400, "1h": 3600, "30s": 30, "1Y": 365 * 86400, "": 0, "5": 0, "x": 0, "D": 0} {
		if got := ageOf(s); got != want*1e9 {
			t.Errorf("%q is %d ns, want %d s", s, got, want)
		}
	}
}

// Over AMQP alone, what is asked for is found or not, and nothing is made by asking.
// What is made is there once, and what was there stays as it was.
func TestProvisionAndProbe(t *testing.T) {
	n := sharedNode(t)
	s := n.open(t)
	name := strings.ReplaceAll(n.identity(t).Relay, "/", "-")
	number := func(m bridge.Meaning, name string, n int64) bridge.Setting {
		return bridge.Setting{Meaning: m, Name: name, Value: n, N: n}
	}
	x := bridge.Object{Role: bridge.RoleExchange, Kind: "topic exchange", Name: name + "-x"}
	inner := bridge.Object{Role: bridge.RoleExchange, Kind: "fanout exchange", Name: name + "-inner"}
	q := bridge.Object{Role: bridge.RoleQueue, Kind: "classic queue", Name: name + "-q", Settings: []bridge.Setting{number(bridge.MeaningMessages, "x-max-length", 10), {Meaning: bridge.MeaningSingle, Name: "x-single-active-consumer", Value: true}}}
	st := bridge.Object{Role: bridge.RoleLog, Kind: "stream", Name: name + "-s", Settings: []bridge.Setting{{Meaning: bridge.MeaningAge, Name: "x-max-age", Value: "3600s", N: 3600e9}}}
	all := []bridge.Object{
		x, inner, q, st,
		{Role: bridge.RoleBinding, Kind: "binding", Name: q.Name, From: x.Name, To: bridge.RoleQueue, Key: "a.#"},
		{Role: bridge.RoleBinding, Kind: "binding", Name: inner.Name, From: x.Name, To: bridge.RoleExchange, Key: "b"},
		{Role: bridge.RoleBinding, Kind: "binding", Name: st.Name, From: inner.Name, To: bridge.RoleLog},
	}
	n.deleteLater(t, q.Name, st.Name)
	t.Cleanup(func() {
		for _, e := range []string{x.Name, inner.Name} {
			if err := n.channel(t).ExchangeDelete(e, false, false); err != nil {
				t.Error(err)
			}
		}
	})
	probe := func(want int) bridge.Topology {
		t.Helper()
		found, err := s.Survey(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Objects) != want || !slices.Equal(found.Blind, []bridge.Role{bridge.RoleBinding}) || len(found.Unseen) != 1 || !strings.HasPrefix(found.System, "rabbitmq cluster ") {
			t.Errorf("found %+v, want %d objects", found, want)
		}
		return found
	}
	probe(0)
	probe(0)
	for range 2 {
		if err := s.Provision(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range probe(4).Objects {
		if i := slices.IndexFunc(all, func(w bridge.Object) bool { return w.Same(&o) && w.Kind == o.Kind }); i < 0 || !o.Partly {
			t.Errorf("found %+v", o)
		}
	}
	other := q
	other.Kind, other.Settings = "quorum queue", nil
	if err := s.Provision(t.Context(), []bridge.Object{other}); err != nil {
		t.Errorf("what is there otherwise is to be left alone: %v", err)
	}
	ch := n.channel(t)
	for _, key := range []string{"a.1", "b"} {
		if err := ch.PublishWithContext(t.Context(), x.Name, key, true, false, amqp.Publishing{}); err != nil {
			t.Fatal(err)
		}
	}
	found, err := ch.QueueDeclare(q.Name, true, false, false, false, amqp.Table{"x-queue-type": "classic", "x-max-length": int64(10), "x-single-active-consumer": true})
	if err != nil || found.Messages > 1 {
		t.Errorf("the queue is not as it was planned, or bound twice: %+v, %v", found, err)
	}
	if held, err := s.Holdings(t.Context(), n.identity(t).Bridge); err != nil || slices.ContainsFunc(held, func(h bridge.Holding) bool { return strings.HasPrefix(h.Name, name) }) {
		t.Errorf("it counts as the bridge's own: %+v, %v", held, err)
	}
	if err := s.Provision(t.Context(), []bridge.Object{{Role: bridge.RoleBinding, Kind: "binding", Name: name + "-none", From: x.Name, To: bridge.RoleQueue}}); bridge.ClassOf(err) != bridge.Stopping {
		t.Errorf("a binding to nothing: %v", err)
	}
}
