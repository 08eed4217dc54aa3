package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/config"
)

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// newLog logs as the configuration says: auto is text on a terminal and JSON
// otherwise. URLs are logged without their credentials.
func newLog(w io.Writer, c config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: levels[c.Level], ReplaceAttr: redact}
	if c.Format == "text" || c.Format == "auto" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// redact also writes durations with their unit, which JSON would lose.
func redact(_ []string, a slog.Attr) slog.Attr {
	switch v := a.Value; v.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(v.Duration().String())
	case slog.KindString:
		a.Value = slog.StringValue(config.RedactURLs(v.String()))
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			a.Value = slog.StringValue(config.RedactURLs(err.Error()))
		}
	}
	return a
}

// explain adds the hint of a fatal error.
func explain(err error) string {
	text := config.RedactURLs(err.Error())
	if hint := bridge.HintOf(err); hint != "" {
		return fmt.Sprintf("%s\n%s", text, hint)
	}
	return text
}
