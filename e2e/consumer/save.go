package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/crossfade-mq/crossfade/dedupe"
)

// saved is a state in its file.
type saved struct {
	Metrics map[string]*metric `json:"metrics"`
	// Seen are the fingerprints of the samples that are remembered, the oldest first:
	// 16 octets each, in one text of base64.
	Seen []byte `json:"seen"`
}

// Save puts the state into a file, which after a crash holds either all of it or
// all of the one before.
func (s *state) Save(path string) error {
	file := saved{Metrics: s.metrics, Seen: make([]byte, 0, s.seen.Len()*len(dedupe.Fingerprint{}))}
	for _, fp := range s.remembered() {
		file.Seen = append(file.Seen, fp[:]...)
	}
	data, err := json.Marshal(file)
	if err == nil {
		err = replace(path, data)
	}
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	return nil
}

// Load takes a state that was saved; a file that is not there is an empty one. It
// is called before anything is applied.
func (s *state) Load(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the state: %w", err)
	}
	file := saved{Metrics: s.metrics}
	err = json.Unmarshal(data, &file)
	if err == nil && len(file.Seen)%len(dedupe.Fingerprint{}) != 0 {
		err = errors.New("a fingerprint is cut short")
	}
	if err != nil {
		return fmt.Errorf("load the state: %s was not written by this command; name another -state, or move it away to begin anew: %w", path, err)
	}
	for seen := file.Seen; len(seen) > 0; seen = seen[len(dedupe.Fingerprint{}):] {
		fp := dedupe.Fingerprint(seen[:len(dedupe.Fingerprint{})])
		s.seen.Add(fp)
		s.recent = append(s.recent, fp)
	}
	return nil
}

// replace gives a file new content at once.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync() // or the old file may be back after a power failure
}
