package adaptertest

import (
	"slices"
	"testing"
)

// A harness is asked for its traits whatever -run leaves out, and what it makes
// for that is gone before the first check.
func TestScopeEndsBeforeTheTest(t *testing.T) {
	var order []string
	s := &scope{T: t}
	s.Cleanup(func() { order = append(order, "first") })
	s.Cleanup(func() {
		order = append(order, "second")
		s.Cleanup(func() { order = append(order, "third") })
	})
	s.end()
	s.end()
	if want := []string{"second", "third", "first"}; !slices.Equal(order, want) {
		t.Errorf("cleaned up in the order %v, want %v", order, want)
	}
}

// A harness that leaves out what it has to give is refused, not waived.
func TestIncompleteHarnessIsRefused(t *testing.T) {
	b := &bend{}
	for what, spoil := range map[string]func(*Fixture){
		"Start": func(f *Fixture) { f.Start = nil }, "Put": func(f *Fixture) { f.Put = nil }, "Read": func(f *Fixture) { f.Read = nil },
		"Loop": func(f *Fixture) { f.Loop = nil }, "Missing": func(f *Fixture) { f.Missing = nil },
		"openers": func(f *Fixture) { f.Start = func(T) Process { return Process{} } },
	} {
		h := Harness{New: func(t T) Fixture {
			f := b.fixture(t)
			spoil(&f)
			return f
		}}
		if failed, log := try(h, checks[0]); !failed {
			t.Errorf("a fixture without %s is taken\n%s", what, log)
		}
	}
	if failed, _ := try(Harness{}, checks[0]); !failed {
		t.Error("a harness without New is taken")
	}
}
