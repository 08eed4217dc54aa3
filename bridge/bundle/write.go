package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A Writer writes bundles into a folder, up to a size. Safe for concurrent use.
type Writer struct {
	dir  string
	most int64

	mu      sync.Mutex
	octets  int64 // in the folder
	counted bool
	n       int
}

// NewWriter makes a writer of a folder that holds so many octets at most. The folder is
// made when the first bundle is written.
func NewWriter(dir string, most int64) *Writer { return &Writer{dir: dir, most: most} }

// ErrFull says that the folder holds all that it may.
var ErrFull = errors.New("the folder holds all that it may")

// Write writes a bundle, whole or not at all, and gives the file's name.
func (w *Writer) Write(b *Bundle) (path string, err error) {
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.count(); err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	if w.octets+int64(len(text)) > w.most {
		return "", fmt.Errorf("bundle: %s: %w (%d octets; see evidence.size)", w.dir, ErrFull, w.most)
	}
	w.n++
	name := fmt.Sprintf("%s-%s-%s-%d.json", b.At.Format("20060102T150405.000Z"), fileSafe(b.Comparison), b.Kind, w.n)
	path = filepath.Join(w.dir, name)
	if err := writeWhole(path, text); err != nil {
		return "", fmt.Errorf("bundle: %w", err)
	}
	w.octets += int64(len(text))
	return path, nil
}

// count finds out what is in the folder, once; mu is held.
func (w *Writer) count() error {
	if w.counted {
		return nil
	}
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			w.octets += info.Size()
		}
	}
	w.counted = true
	return nil
}

// writeWhole leaves no half of a file under its name. What is in it may be confidential.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".bundle-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

func fileSafe(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, s)
}
