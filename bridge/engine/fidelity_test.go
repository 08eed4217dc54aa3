package engine_test

import (
	"slices"
	"testing"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/engine"
)

// A vague adapter has openers that declare what the test wants.
func vague(gives, carries []bridge.Mapping) bridge.Adapter {
	inner := memory.Adapter(memory.NewBroker("v"), memory.NewBroker("w"))
	return bridge.Adapter{Kind: "vague", System: func(name string, settings bridge.Decode) (bridge.System, error) {
		s, err := inner.System(name, settings)
		return vagueSystem{s, gives, carries}, err
	}}
}

type vagueSystem struct {
	bridge.System
	gives, carries []bridge.Mapping
}

type vagueSource struct {
	bridge.SourceOpener
	gives []bridge.Mapping
}

func (s vagueSource) Gives() []bridge.Mapping { return s.gives }

type vagueSink struct {
	bridge.SinkOpener
	carries []bridge.Mapping
}

func (s vagueSink) Carries() []bridge.Mapping { return s.carries }

func (s vagueSystem) Source(id bridge.Identity, settings bridge.Decode) (bridge.SourceOpener, error) {
	o, err := s.System.Source(id, settings)
	return vagueSource{o, s.gives}, err
}

func (s vagueSystem) Sink(id bridge.Identity, settings bridge.Decode) (bridge.SinkOpener, error) {
	o, err := s.System.Sink(id, settings)
	return vagueSink{o, s.carries}, err
}

func reported(t *testing.T, adapter bridge.Adapter, to string) engine.Fidelity {
	t.Helper()
	text := "name: t\nsystems:\n  - {name: v, kind: vague}\n  - {name: w, kind: memory}\nrelays:\n  - {name: r, from: {system: v, stream: S}, to: {system: " + to + ", stream: T}}"
	c, err := config.Parse("test.yaml", []byte(text), config.Options{Adapters: []bridge.Adapter{adapter, memory.Adapter()}})
	if err != nil {
		t.Fatal(err)
	}
	f := engine.Fidelities(c)
	if len(f) != 1 || f[0].Relay != "r" || f[0].From == "" || f[0].To == "" {
		t.Fatalf("%+v", f)
	}
	return f[0]
}

// What is lost and parked stands first, equal lines are one, and a line says what a
// consumer at the candidate sees.
func TestFidelityFolds(t *testing.T) {
	got := reported(t, vague([]bridge.Mapping{
		{Field: bridge.FieldBody}, {Field: bridge.FieldEmptyBody}, {Field: bridge.FieldAddress}, {Field: bridge.FieldTime, Carriage: bridge.CarriedPartly, Note: "at times"},
		{Field: bridge.FieldPriority}, {Field: bridge.FieldHeaderTable, Carriage: bridge.CarriedLost, Note: "dropped"}, {Field: bridge.FieldHeaderOrder},
	}, []bridge.Mapping{
		{Field: bridge.FieldBody, Parks: bridge.ReasonOversized, Limit: "too large"}, {Field: bridge.FieldEmptyBody},
		{Field: bridge.FieldAddress}, {Field: bridge.FieldForeignAddress, Carriage: bridge.CarriedInHop}, {Field: bridge.FieldTime, Carriage: bridge.CarriedInHop},
		{Field: bridge.FieldPriority, Carriage: bridge.CarriedNot, Parks: bridge.ReasonLossy, Limit: "never"}, {Field: bridge.FieldHeaderTable},
		{Field: bridge.FieldHeaderOrder, Carriage: bridge.CarriedPartly, Note: "some"},
	}), "v")
	want := []engine.FidelityLine{
		{Outcome: engine.OutcomeLost, Fields: []bridge.Field{bridge.FieldTime}, Note: "at times"},
		{Outcome: engine.OutcomeLost, Fields: []bridge.Field{bridge.FieldHeaderTable}, Note: "dropped"},
		{Outcome: engine.OutcomeParked, Fields: []bridge.Field{bridge.FieldBody}, Reason: bridge.ReasonOversized, Note: "too large"},
		{Outcome: engine.OutcomeParked, Fields: []bridge.Field{bridge.FieldPriority}, Reason: bridge.ReasonLossy, Note: "never"},
		{Outcome: engine.OutcomePartly, Fields: []bridge.Field{bridge.FieldAddress}, Note: "where the target's own is the same"},
		{Outcome: engine.OutcomePartly, Fields: []bridge.Field{bridge.FieldHeaderOrder}, Note: "some"},
		{Outcome: engine.OutcomeCarried, Fields: []bridge.Field{bridge.FieldTime}},
		{Outcome: engine.OutcomeNatively, Fields: []bridge.Field{bridge.FieldBody, bridge.FieldEmptyBody}},
	}
	if !slices.EqualFunc(got.Lines, want, func(a, b engine.FidelityLine) bool {
		return a.Outcome == b.Outcome && slices.Equal(a.Fields, b.Fields) && a.Reason == b.Reason && a.Note == b.Note
	}) || got.Assumed {
		t.Errorf("got  %+v\nwant %+v", got.Lines, want)
	}
}

// A source that declares nothing may give everything; of a target that declares
// nothing, nothing is known.
func TestFidelityOfSidesThatDeclareNothing(t *testing.T) {
	got := reported(t, vague(nil, nil), "w")
	if len(got.Lines) != 1 || !got.Assumed || !slices.Equal(got.Lines[0].Fields, bridge.Fields()) {
		t.Errorf("to memory: %+v", got)
	}
	if got = reported(t, vague(nil, nil), "v"); got.Lines != nil {
		t.Errorf("to what declares nothing: %+v", got)
	}
}

// The address of one kind of system is foreign to every other.
func TestAddressesOfOtherKindsAreForeign(t *testing.T) {
	got := reported(t, vague([]bridge.Mapping{{Field: bridge.FieldAddress}}, nil), "w")
	if len(got.Lines) != 1 || got.Lines[0].Outcome != engine.OutcomeNatively { // memory carries any
		t.Errorf("%+v", got.Lines)
	}
}
