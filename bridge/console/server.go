package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Options are what the console shows.
type Options struct {
	// Status gives the bridge at the moment of the call. Safe for concurrent use.
	Status func() *Status
	// Look makes the relay of that name read anew what is parked, and says whether
	// there is one.
	Look func(relay string) bool
	// Metrics serves /metrics.
	Metrics http.Handler
}

// Handler gives the console's pages.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", o.Metrics)
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { ready(w, o.Status()) })
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(o.Status()) // the caller went away
	})
	mux.HandleFunc("POST /api/v1/relays/{relay}/look", func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.Header.Get(lookHeader) == "": // a page in somebody's browser cannot set it
			text(w, http.StatusForbidden, "want the header "+lookHeader+"\n")
		case o.Look(req.PathValue("relay")):
			w.WriteHeader(http.StatusNoContent)
		default:
			text(w, http.StatusNotFound, "there is no relay of that name\n")
		}
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "")
		_ = WriteText(w, o.Status()) // the caller went away
	})
	return mux
}

// lookHeader is what a request that changes something has to carry.
const lookHeader = "X-Crossfade"

// ready names the relays that do not get on.
func ready(w http.ResponseWriter, s *Status) {
	if s.Ready {
		text(w, http.StatusOK, "ok\n")
		return
	}
	text(w, http.StatusServiceUnavailable, "")
	for i := range s.Relays {
		if r := &s.Relays[i]; !r.Ready {
			_, _ = fmt.Fprintf(w, "%s: %s: %s\n", r.Name, r.State, r.Why) // the caller went away
		}
	}
}

func text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body)) // the caller went away
}

// goodbye is how long requests that are under way may take at the end.
const goodbye = 2 * time.Second

// Serve answers on the listener, which it closes, until ctx ends.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 1 << 16}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		if s.Shutdown(end) != nil {
			_ = s.Close() // ends what took too long
		}
		err = <-ended
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("console: %w", err)
}
