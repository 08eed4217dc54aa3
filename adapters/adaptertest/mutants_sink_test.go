package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossfade-mq/crossfade/adapters/memory"
	"github.com/crossfade-mq/crossfade/bridge"
)

func sinkMutants() []mutant {
	return []mutant{
		{"sends every message twice", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			n, err := l.Lane.Send(ctx, msgs)
			if err == nil {
				l.ended = true
				_, _ = l.Lane.Send(ctx, msgs)
				l.ended = false
			}
			return n, err
		}, settle: func(l *bentLane, n int, p []bridge.Placement, err error) {
			if !l.ended {
				l.settled(n, p, err)
			}
		}}, []string{"Send/places every"}},
		{"reorders a batch", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			reversed := slices.Clone(msgs)
			slices.Reverse(reversed)
			return l.Lane.Send(ctx, reversed)
		}}, []string{"Send/places every", "Send/settled means stored", "Crash/a lane"}},
		{"leaves out a message", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			if len(msgs) < 2 {
				return l.Lane.Send(ctx, msgs)
			}
			if _, err := l.Lane.Send(ctx, msgs[1:]); err != nil {
				return 0, err
			}
			l.settled(1, nil, nil)
			return len(msgs), nil
		}}, []string{"Send/places every", "Send/settled means stored"}},
		{"loses keys", bend{send: altered(func(m *bridge.Message) { m.Key = "" })}, []string{"Send/places every", "Identity/keys"}},
		{"says one more in settled", bend{settle: func(l *bentLane, n int, _ []bridge.Placement, err error) {
			l.settled(n+1, nil, err)
		}}, []string{"Send/places every", "Send/settled means stored"}},
		{"says one less in settled", bend{settle: func(l *bentLane, n int, _ []bridge.Placement, err error) {
			if n > 1 {
				l.settled(n-1, nil, err)
			}
		}}, []string{"Send/places every", "Send/settled means stored"}},
		{"says one less in Send", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			n, err := l.Lane.Send(ctx, msgs)
			return max(n-1, 0), err
		}}, []string{"Send/places every"}},
		{"settles before it is stored", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			l.settled(len(msgs), nil, nil)
			before := l.rest
			l.rest = slices.Clone(msgs)
			_, err := l.Lane.Send(ctx, before)
			if err != nil {
				return 0, err
			}
			return len(msgs), nil
		}, settle: func(*bentLane, int, []bridge.Placement, error) {}},
			[]string{"Send/settled means stored", "Send/what was settled survives", "Recall/sees what landed", "Crash/a lane", "Crash/a process"}},
		{"gives positions that fall", bend{settle: func(l *bentLane, n int, p []bridge.Placement, err error) {
			q := slices.Clone(p)
			for i := range q {
				q[i].Position = 1000 - q[i].Position
			}
			l.settled(n, q, err)
		}}, []string{"Send/placements rise"}},
		{"settles after an error", bend{settle: func(l *bentLane, n int, p []bridge.Placement, err error) {
			l.settled(n, p, err)
			l.settled(0, nil, errors.New("the connection was lost"))
			l.settled(0, nil, errors.New("the connection was lost again"))
		}}, []string{"Send/settled means stored"}},
		{"does not hear ctx in Send", bend{send: func(l *bentLane, _ context.Context, msgs []*bridge.Message) (int, error) {
			return l.Lane.Send(background, msgs)
		}}, []string{"Send/ends with ctx"}},
		{"lives on after ctx has ended a Send", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			return l.Lane.Send(ctx, msgs)
		}}, []string{"Send/ends with ctx"}},
		{"takes an oversized message for an outage", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			n, err := l.Lane.Send(ctx, msgs)
			if bridge.ReasonOf(err) != "" {
				err = errors.New(err.Error())
			}
			return n, err
		}}, []string{"Send/a Reject"}},
		{"ends the lane with a Reject", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			n, err := l.Lane.Send(ctx, msgs)
			if bridge.ReasonOf(err) != "" {
				_ = l.Lane.Close()
			}
			return n, err
		}}, []string{"Send/a Reject"}},
		{"cuts an oversized body", bend{send: altered(func(m *bridge.Message) {
			m.Body = m.Body[:min(len(m.Body), 1<<16)]
		})}, []string{"Send/a Reject", "Send/takes bodies"}},
		{"promises more than it takes", bend{to: func(t *bridge.SinkTraits) { t.MaxBody *= 4 }}, []string{"Send/takes bodies"}},
		{"settles on the first lane", bend{openLane: func(s *bentSink, ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
			if number == 0 {
				s.first = settled
			}
			return s.Sink.Open(ctx, number, s.first)
		}}, []string{"Send/lanes work"}},
		{"has no fence", bend{
			settings: func(_ *memory.SourceConfig, c *memory.SinkConfig) { c.Fence = bridge.FenceNone },
			to:       func(t *bridge.SinkTraits) { t.Fence = bridge.FenceExpect },
		}, []string{"Fence/what a predecessor sends late", "Fence/what a predecessor sends before"}},
		{"recalls nothing", bend{recall: func(*bentSink, context.Context, int, int, func(bridge.Placed) bool) error { return nil }},
			[]string{"Recall/sees all", "Recall/keeps lanes", "Recall/sees what landed", "Crash/a lane", "Crash/a process", "Crash/a restart"}},
		{"recalls all but the newest", bend{recall: recalled(func(all []bridge.Placed) []bridge.Placed {
			return all[:max(len(all)-1, 0)]
		})}, []string{"Recall/sees all", "Crash/a lane", "Crash/a process", "Crash/a restart"}},
		{"recalls all but one in the middle", bend{recall: recalled(func(all []bridge.Placed) []bridge.Placed {
			if len(all) < 5 {
				return all
			}
			return slices.Delete(all, 3, 4)
		})}, []string{"Recall/sees all", "Recall/sees what landed", "Crash/a process"}},
		{"recalls the oldest first", bend{recall: recalled(func(all []bridge.Placed) []bridge.Placed {
			slices.Reverse(all)
			return all
		})}, []string{"Recall/sees all", "Recall/keeps lanes", "Recall/sees what landed"}},
		{"recalls the oldest n", bend{recall: func(s *bentSink, ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
			var all []bridge.Placed
			err := s.Sink.(bridge.Recaller).Recall(ctx, number, 1<<12, func(p bridge.Placed) bool {
				all = append(all, p)
				return true
			})
			for _, p := range all[max(0, len(all)-n):] {
				if !each(p) {
					break
				}
			}
			return err
		}}, []string{"Recall/sees all"}},
		{"recalls more than is wanted", bend{recall: func(s *bentSink, ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
			return s.Sink.(bridge.Recaller).Recall(ctx, number, n, func(p bridge.Placed) bool {
				each(p)
				return true
			})
		}}, []string{"Recall/sees all"}},
		{"forgets origins", bend{recall: recalled(func(all []bridge.Placed) []bridge.Placed {
			for i := range all {
				all[i].Origin = bridge.Origin{}
			}
			return all
		})}, []string{"Recall/sees all"}},
		{"recalls other lanes too", bend{recall: func(s *bentSink, ctx context.Context, _, n int, each func(bridge.Placed) bool) error {
			for lane := range 2 {
				if err := s.Sink.(bridge.Recaller).Recall(ctx, lane, n, each); err != nil {
					return err
				}
			}
			return nil
		}}, []string{"Recall/keeps lanes"}},
		{"recalls only what it sent itself", bend{
			send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
				n, err := l.Lane.Send(ctx, msgs)
				for _, m := range msgs[:n] {
					l.placed = append(l.placed, bridge.Placed{ID: m.ID, Key: m.Key, Position: uint64(len(l.placed) + 1), Origin: m.Origin})
				}
				return n, err
			},
			recall: func(s *bentSink, _ context.Context, _, n int, each func(bridge.Placed) bool) error {
				for _, p := range slices.Backward(s.placed[max(0, len(s.placed)-n):]) {
					if !each(p) {
						break
					}
				}
				return nil
			},
		}, []string{"Recall/sees what landed", "Recall/sees all", "Crash/a process"}},
		{"routes by the ID", bend{route: func(_ *bentSink, m *bridge.Message, lanes int) int {
			return len(m.Key+m.ID.Value) % lanes
		}}, []string{"Route/is pure"}},
		{"routes in turn", bend{route: func(s *bentSink, _ *bridge.Message, lanes int) int {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked++
			return s.asked % lanes
		}}, []string{"Route/is pure"}},
		{"routes to a lane that there is not", bend{route: func(_ *bentSink, m *bridge.Message, lanes int) int {
			if m.Key == "" {
				return lanes
			}
			return 0
		}}, []string{"Route/is pure"}},
		{"sends what belongs to another lane", bend{
			settings: func(_ *memory.SourceConfig, c *memory.SinkConfig) { c.Routed = false },
			to:       func(t *bridge.SinkTraits) { t.Routed = true },
			route:    func(_ *bentSink, m *bridge.Message, lanes int) int { return len(m.Key) % 2 % lanes },
		}, []string{"Route/a lane refuses"}},
		{"does not see that partitions were added", bend{
			settings: func(_ *memory.SourceConfig, c *memory.SinkConfig) { c.Routed = false },
			to:       func(t *bridge.SinkTraits) { t.Routed = true },
			route: func(s *bentSink, m *bridge.Message, lanes int) int {
				if s.broker.Stream("out").Partitions() > 3 {
					return 1 % lanes
				}
				return len(m.Key) % 2 % lanes
			},
		}, []string{"Route/when partitions"}},
		{"takes a new route for an outage", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			n, err := l.Lane.Send(ctx, msgs)
			if errors.Is(err, bridge.ErrRerouted) {
				err = errors.New("not leader for partition")
			}
			return n, err
		}}, []string{"Route/a lane refuses", "Route/when partitions"}},
		{"locates by the trimmed ID", bend{locate: func(s *bentSink, ctx context.Context, key string, id bridge.ID) (uint64, bool, error) {
			id.Value = strings.TrimSpace(id.Value)
			return s.Sink.(bridge.Locator).Locate(ctx, key, id)
		}}, []string{"Locate/"}},
		{"does not hear Close of a lane", bend{closeLane: func(*bentLane) error { return nil }},
			[]string{"Close/of a lane unblocks"}},
		{"settles after Close", bend{closeLane: func(l *bentLane) error {
			err := l.Lane.Close()
			time.AfterFunc(5*time.Millisecond, func() { l.settled(0, nil, errors.New("the connection was closed")) })
			return err
		}}, []string{"Close/of a lane is the last"}},
		{"waits for the system in Close", bend{closeLane: func(l *bentLane) error {
			pass(4 * shortPatience)
			return l.Lane.Close()
		}}, []string{"Close/returns within seconds"}},
		{"leaves a goroutine of a lane", bend{openLane: func(s *bentSink, ctx context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
			go pass(2 * shortPatience)
			return s.Sink.Open(ctx, number, settled)
		}}, []string{"Close/no goroutines"}},
		{"does not hear ctx when a lane opens", bend{openLane: func(s *bentSink, _ context.Context, number int, settled bridge.Settled) (bridge.Lane, error) {
			return s.Sink.Open(background, number, settled)
		}}, []string{"Open/ends with ctx"}},
		{"gives no hint", bend{openSink: func(ctx context.Context, o bridge.SinkOpener) (bridge.Sink, error) {
			s, err := o.Open(ctx)
			if err != nil {
				err = bridge.Fatal(err, "")
			}
			return s, err
		}}, []string{"Open/missing topology"}},
	}
}

// recalled changes what Recall gives.
func recalled(change func([]bridge.Placed) []bridge.Placed) func(*bentSink, context.Context, int, int, func(bridge.Placed) bool) error {
	return func(s *bentSink, ctx context.Context, number, n int, each func(bridge.Placed) bool) error {
		var all []bridge.Placed
		err := s.Sink.(bridge.Recaller).Recall(ctx, number, n, func(p bridge.Placed) bool {
			all = append(all, p)
			return true
		})
		slices.Reverse(all)
		for _, p := range slices.Backward(change(all)) {
			if !each(p) {
				break
			}
		}
		return err
	}
}

func identityMutants() []mutant {
	return []mutant{
		{"makes null bodies empty", bend{send: altered(func(m *bridge.Message) {
			if m.Body == nil {
				m.Body = []byte{}
			}
		})}, []string{"Identity/bodies"}},
		{"mends what is not UTF-8", bend{send: altered(func(m *bridge.Message) {
			m.Body = []byte(strings.ToValidUTF8(string(m.Body), "?"))
			m.Key = strings.ToValidUTF8(m.Key, "?")
			m.ID.Value = strings.ToValidUTF8(m.ID.Value, "?")
		})}, []string{"Identity/bodies", "Identity/keys", "Identity/IDs"}},
		{"trims IDs", bend{send: altered(func(m *bridge.Message) { m.ID.Value = strings.TrimSpace(m.ID.Value) })}, []string{"Identity/IDs"}},
		{"loses the scope of IDs", bend{send: altered(func(m *bridge.Message) { m.ID.Scope = 0 })}, []string{"Identity/IDs"}},
		{"loses where IDs come from", bend{send: altered(func(m *bridge.Message) { m.ID.From = 0 })}, []string{"Identity/IDs"}},
		{"makes up an ID", bend{send: altered(func(m *bridge.Message) {
			if m.ID.IsZero() {
				m.ID.Value = "made-up"
			}
		})}, []string{"Identity/IDs"}},
		{"loses the space of addresses", bend{send: altered(func(m *bridge.Message) { m.Address.Space = "" })}, []string{"Identity/addresses"}},
		{"makes all headers text", bend{send: altered(func(m *bridge.Message) {
			m.Headers = slices.Clone(m.Headers)
			for i := range m.Headers {
				m.Headers[i].Type = bridge.TypeString
			}
		})}, []string{"Identity/headers of every type"}},
		{"keeps headers in a map", bend{send: altered(func(m *bridge.Message) {
			var kept []bridge.Header
			for _, h := range m.Headers {
				if !slices.ContainsFunc(kept, func(k bridge.Header) bool { return k.Name == h.Name }) {
					kept = append(kept, h)
				}
			}
			m.Headers = kept
		})}, []string{"Identity/headers: order"}},
		{"folds the case of header names", bend{send: altered(func(m *bridge.Message) {
			m.Headers = slices.Clone(m.Headers)
			for i := range m.Headers {
				m.Headers[i].Name = strings.ToLower(m.Headers[i].Name)
			}
		})}, []string{"Identity/headers: order"}},
		{"obeys a control header", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			for i, m := range msgs {
				if _, ok := m.Header("Nats-TTL"); ok {
					l.settled(1, nil, nil)
					continue
				}
				if _, err := l.Lane.Send(ctx, msgs[i:i+1]); err != nil {
					return i, err
				}
			}
			return len(msgs), nil
		}}, []string{"Identity/control headers"}},
		{"leaves out zero properties", bend{send: altered(func(m *bridge.Message) {
			m.Properties = slices.DeleteFunc(slices.Clone(m.Properties), func(p bridge.Property) bool {
				return p.Text == "" && p.Num == 0
			})
		})}, []string{"Identity/properties"}},
		{"adds a delivery mode", bend{send: altered(func(m *bridge.Message) {
			if _, ok := m.Property(bridge.KindDeliveryMode); !ok {
				m.Properties = append(slices.Clone(m.Properties), bridge.Property{Kind: bridge.KindDeliveryMode, Num: 2})
			}
		})}, []string{"Identity/properties"}},
		{"rounds times", bend{send: altered(func(m *bridge.Message) { m.Time = m.Time.Truncate(time.Millisecond) })}, []string{"Identity/time"}},
		{"loses the origin", bend{send: altered(func(m *bridge.Message) { m.Origin = bridge.Origin{} })}, []string{"Identity/time"}},
		{"forgets who carried a message", bend{send: altered(func(m *bridge.Message) { m.Via = "" })}, []string{"Loop/a message says"}},
		{"takes its system for its target", bend{loops: func(_ *bentSink, m *bridge.Message) bool {
			return m.Origin.Stream != nil && m.Origin.Stream.System == memory.Kind
		}}, []string{"Loop/the sink knows"}},
		{"takes what has no origin for its own", bend{loops: func(s *bentSink, m *bridge.Message) bool {
			return m.Origin.Stream == nil || s.Sink.(bridge.Looper).Loops(m)
		}}, []string{"Loop/the sink knows"}},
		{"parks everything odd", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			for i, m := range msgs {
				if strings.ContainsAny(m.Key, " %>*") || len(m.Properties) > 0 {
					return i, bridge.Reject(bridge.ReasonLossy, errors.New("odd"))
				}
				if _, err := l.Lane.Send(ctx, msgs[i:i+1]); err != nil {
					return i, err
				}
			}
			return len(msgs), nil
		}}, []string{"Identity/keys", "Identity/properties"}},
		{"gives a repeat another ID", bend{send: func(l *bentLane, ctx context.Context, msgs []*bridge.Message) (int, error) {
			copies := make([]*bridge.Message, len(msgs))
			for i, m := range msgs {
				c := *m
				l.mu.Lock()
				if l.seen[m.ID.Value] {
					c.ID.Value = fmt.Sprint(m.ID.Value, "-again")
				}
				l.seen[m.ID.Value] = true
				l.mu.Unlock()
				copies[i] = &c
			}
			return l.Lane.Send(ctx, copies)
		}}, []string{"Identity/a repeat"}},
		{"suppresses by the ID alone", bend{send: suppressing(func(m *bridge.Message) string { return m.ID.Value })},
			[]string{"Identity/equal IDs", "Identity/a content-derived", "Identity/messages without ID"}},
		{"suppresses by the trimmed ID", bend{send: suppressing(func(m *bridge.Message) string {
			return m.Key + "/" + m.ID.Scope.String() + "/" + strings.TrimSpace(m.ID.Value)
		})}, []string{"Identity/an ID that differs"}},
		{"suppresses equal content", bend{send: suppressing(func(m *bridge.Message) string { return m.Key + string(m.Body) })},
			[]string{"Identity/a content-derived", "Identity/messages without ID"}},
	}
}
