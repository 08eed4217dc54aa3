package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParse: no input makes the loader panic or hang; what is wrong has a text,
// what loads prints, and the print-out loads and prints the same.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte(minimal))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("? !!binary x\n: !!set {a}\n"))
	f.Setenv("CF_SECRET", "s3cret")
	f.Setenv("CF_DEBT", "4096")
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Contains(string(data), "file:") {
			return // not everything on the machine may be read
		}
		c, err := Parse("f.yaml", data, options(nil))
		if err != nil {
			var es Errors
			if !errors.As(err, &es) || len(es) == 0 {
				t.Fatalf("error is a %T: %v", err, err)
			}
			for _, e := range es {
				if e.Text == "" {
					t.Errorf("a mistake without text: %+v", e)
				}
			}
			return
		}
		printed := c.String()
		again, err := Parse("f.yaml", []byte(printed), options(nil))
		if err != nil {
			t.Fatalf("the print-out does not load: %v\n%s", err, printed)
		}
		if got := again.String(); got != printed {
			t.Errorf("printed:\n%s\nand then:\n%s", printed, got)
		}
	})
}

// FuzzSecrets: a password never turns up in a print-out or a message, wherever
// it stands.
func FuzzSecrets(f *testing.F) {
	f.Add("hunter2x", "u")
	f.Add("p@ss:w/rd?", "u")
	f.Add("a,b#c d", "u:v")
	f.Add(`quo"ted\`, "")
	f.Fuzz(func(t *testing.T, password, user string) {
		if len(password) < 6 || strings.Contains(minimal+user+"amqp:// http listen refused format level prefetch password timeout", password) {
			return // it would be found without having been leaked
		}
		for i := range len(password) {
			if password[i] < 0x20 || password[i] > 0x7e || password[i] == '$' {
				return
			}
		}
		if strings.ContainsAny(user, "\"\\\n\t ,$@:/?#") || strings.ContainsFunc(user, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			return
		}
		f := func(extra string) string {
			return "name: m\nsystems:\n- name: a\n  kind: test\n  password: '" + strings.ReplaceAll(password, "'", "''") + "'\n" + extra +
				"relays: [{name: r, from: {system: a}, to: {system: a}}]\n"
		}
		url := "  url: '" + strings.ReplaceAll("amqp://"+user+":"+password+"@host", "'", "''") + "'\n"
		c, err := Parse("f.yaml", []byte(f(url)), options(nil))
		if err != nil {
			t.Fatal(err)
		}
		if s := c.String(); strings.Contains(s, password) {
			t.Errorf("printed:\n%s", s)
		}
		bad := "  url: 'bad url " + strings.ReplaceAll(password, "'", "''") + "'\n"
		if _, err := Parse("f.yaml", []byte(f(bad)), options(nil)); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("message: %v", err)
		}
	})
}
