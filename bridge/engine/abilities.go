package engine

import (
	"context"

	"github.com/crossfade-mq/crossfade/bridge"
)

// The optional abilities of openers and sessions are asked for here and nowhere
// else in this package.

// checkerOf gives the preflight of a source or sink opener; nil if it has none.
func checkerOf(opener any) bridge.Checker {
	c, _ := opener.(bridge.Checker)
	return c
}

// journalsOf gives the journals of the incumbent; nil if it keeps none.
func journalsOf(opener bridge.SourceOpener) bridge.JournalOpener {
	if !opener.Traits().Journals {
		return nil
	}
	j, _ := opener.(bridge.JournalOpener)
	return j
}

// backlogOf asks a session how much waits.
func backlogOf(ctx context.Context, session bridge.Source) (b bridge.Backlog, asked bool, err error) {
	l, ok := session.(bridge.Backlogger)
	if !ok {
		return bridge.Backlog{}, false, nil
	}
	b, err = l.Backlog(ctx)
	return b, true, err
}
