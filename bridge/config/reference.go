package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// hasReference says that expanding s would change it.
func hasReference(s string) bool { return strings.Contains(s, "${") }

// largestReference bounds a file that a reference names.
const largestReference = 1 << 20

// references are what the ${…} of a text stand for.
type references struct {
	dir         string // what relative paths are relative to
	environment func(name string) (string, bool)
}

// expand resolves the ${…} of a text. All references that cannot be resolved are
// in the error.
func (r references) expand(s string) (string, error) {
	var b strings.Builder
	var errs []error
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), errors.Join(errs...)
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		body, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed {
			return "", errors.Join(append(errs, fmt.Errorf("%q has no '}'; a literal \"${\" is written \"$${\"", s[i:]))...)
		}
		v, err := r.resolve(body)
		if err != nil {
			errs = append(errs, err)
		}
		b.WriteString(v)
		s = rest
	}
}

func (r references) resolve(body string) (string, error) {
	scheme, name, _ := strings.Cut(body, ":")
	switch {
	case scheme == "env" && name != "":
		v, ok := r.environment(name)
		if !ok {
			return "", fmt.Errorf("${env:%s}: the environment has no %s", name, name)
		}
		return v, nil
	case scheme == "file" && name != "":
		return content(name, r.dir)
	}
	return "", fmt.Errorf("${%s}: want ${env:NAME} or ${file:PATH}; a literal \"${\" is written \"$${\"", body)
}

func content(name, dir string) (string, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("${file:%s}: %w", name, bare(err))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("${file:%s}: not a file", name)
	case info.Size() > largestReference:
		return "", fmt.Errorf("${file:%s}: larger than %d octets", name, largestReference)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("${file:%s}: %w", name, bare(err))
	}
	s := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(s, "\r"), nil
}

// bare takes the operation and the path off a file error.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
