package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// largestStatus bounds what a console may answer.
const largestStatus = 16 << 20

// Look tells the bridge at host:port that somebody changed what a relay has
// parked.
func Look(ctx context.Context, address, relay string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/api/v1/relays/"+url.PathEscape(relay)+"/look", nil)
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	req.Header.Set(lookHeader, "look")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("look: %s answers %s", address, resp.Status)
	}
	return nil
}

// Fetch asks the console at host:port for the status.
func Fetch(ctx context.Context, address string) (*Status, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/status", nil)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status: %s answers %s; is it a crossfade?", address, resp.Status)
	}
	var s Status
	if err := json.NewDecoder(io.LimitReader(resp.Body, largestStatus)).Decode(&s); err != nil {
		return nil, fmt.Errorf("status: the answer of %s cannot be read: %w", address, err)
	}
	return &s, nil
}
