package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/crossfade-mq/crossfade/e2e/ledger"
)

const complete = "-from amqp://u:secret@h -read samples -to kafka://h:1,g:2 -write results -state s.json"

func TestSettings(t *testing.T) {
	s, err := parse(strings.Fields(complete), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.idHeader != ledger.IDHeader {
		t.Errorf("-id-header is %s, the ledger's producer writes %s", s.idHeader, ledger.IDHeader)
	}
	if c, err := newConsumer(s); err != nil || c.out.(*kafkaOutput).brokers != "h:1,g:2" {
		t.Errorf("%+v, %v", c, err)
	}
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-id-header") {
		t.Errorf("help: %v\n%s", err, &help)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	for args, want := range map[string]string{
		"":                                     "-from and -read are needed",
		"-from a -read b -to c":                "-to and -write are needed",
		"-from a -queue b -to c -write":        "-h lists the flags",
		"-from a -queue b -to c -write d":      "-state is needed",
		complete + " -bug typo":                "there are only rounding, dedup, late-window",
		complete + " -window 0s":               "have to be above 0",
		complete + " -remember -1":             "-remember has to be in",
		complete + " -name=":                   "cannot be empty",
		complete + " more":                     `"more" is no flag`,
		complete + " -from redis://x":          "-from is not a URL of the form",
		complete + " -to amqp://secret@h:port": "-to is not a URL of the form",
	} {
		s, err := parse(strings.Fields(args), nil)
		if err == nil {
			_, err = newConsumer(s)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

func TestStateFilesThatAreWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	for _, text := range []string{"", "[]", "no JSON", `{"metrics":7}`, `{"metrics":{},"seen":"AAAA"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := newState(minutes).Load(path); err == nil || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := newState(minutes).Save(filepath.Join(path, "below", "a file")); err == nil {
		t.Error("a state was saved where nothing can be")
	}
}

func TestSubject(t *testing.T) {
	for metric, want := range map[string]string{
		"cpu": "out.cpu", "host1.cpu.user": "out.host1.cpu.user", "a:b-c_d": "out.a:b-c_d",
		"a b": "out.a%20b", "a.*": "out.a%2E%2A", "a.>": "out.a%2E%3E", "a..b": "out.a%2E%2Eb", ".a": "out.%2Ea", "a.": "out.a%2E", "50%": "out.50%25",
	} {
		if got := subject("out", metric); got != want {
			t.Errorf("subject of %q is %s, want %s", metric, got, want)
		}
	}
}
