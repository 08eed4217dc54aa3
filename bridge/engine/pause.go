package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
	"github.com/crossfade-mq/crossfade/bridge/relay"
)

// A pauseNote is an operator's word in the journal of what a relay stands for. The
// last one holds; it survives any crash, and needs no bridge that runs.
type pauseNote struct {
	On  bool   `json:"on"`
	Why string `json:"why,omitempty"`
}

func (c *claimed) pause() relay.Pause {
	return relay.Pause{On: c.Pause.On, Why: c.Pause.Why, Since: c.At, Said: true}
}

// ErrNotPausable says that nobody could remember that a relay is paused.
var ErrNotPausable = errors.New("its incumbent keeps no journals, so nothing would remember that it is paused")

// pausable says that the incumbent keeps what an operator says of the relay, and that
// the relay reads it when it opens its source.
func pausable(r *config.Relay) bool {
	_, sited := r.Source.(bridge.Sited)
	return sited && journalsOf(r.Source) != nil
}

// Paused reads whether a relay is paused. Safe beside a bridge that runs it.
func Paused(ctx context.Context, r *config.Relay) (p relay.Pause, err error) {
	err = withNotes(ctx, r, func(j bridge.Journal) error {
		return j.Replay(ctx, func(record []byte) error {
			c, err := readClaimed(r.Name, record)
			if err == nil && c.Pause != nil {
				p = c.pause()
			}
			return err
		})
	})
	return p, err
}

// SetPaused notes durably that a relay is to stand still, with what an operator has
// to say about it, or that it may go on. A bridge that runs sees it when it is told
// to look, or at its next session.
func SetPaused(ctx context.Context, r *config.Relay, on bool, why string) error {
	record, err := json.Marshal(claimed{At: time.Now().UTC(), Pause: &pauseNote{on, why}})
	if err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return withNotes(ctx, r, func(j bridge.Journal) error { return j.Append(ctx, record) })
}

func withNotes(ctx context.Context, r *config.Relay, f func(bridge.Journal) error) error {
	if !pausable(r) {
		return ErrNotPausable
	}
	j, err := journalsOf(r.Source).OpenJournal(ctx, claimPurpose)
	if err != nil {
		return fmt.Errorf("open the journal %q: %w", claimPurpose, err)
	}
	return errors.Join(f(j), j.Close())
}
