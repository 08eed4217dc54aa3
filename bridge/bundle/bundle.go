package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/crossfade-mq/crossfade/bridge"
	"github.com/crossfade-mq/crossfade/bridge/compare"
	"github.com/crossfade-mq/crossfade/bridge/drift"
	"github.com/crossfade-mq/crossfade/bridge/written"
)

// format is the version of the files; later ones read earlier ones.
const format = 1

// A Bundle is one difference and what shows it.
type Bundle struct {
	Format     int    `json:"format"`
	Comparison string `json:"comparison"`
	// Kind is what was found, and At when.
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	// Key and ID are those of the message, in printable form.
	Key string `json:"key"`
	ID  string `json:"id"`
	// Lines say it for a person.
	Lines []string `json:"lines"`
	// Incumbent and Candidate say where they are read, and the message as it is there;
	// null where there is none, or it is not known any more.
	Incumbent Side `json:"incumbent"`
	Candidate Side `json:"candidate"`
	// Extent is, of what is reordered, how many messages came before it that should have
	// come after it.
	Extent uint32 `json:"extent,omitempty"`
	// History is what both sides had of the key around it, in the order in which it was
	// read.
	History []Frame `json:"history"`
	// Rules are what the comparison went by.
	Rules Rules `json:"rules"`
	// Counts are those of the whole comparison by then.
	Counts map[string]uint64 `json:"counts"`
	// Config is a hash of the configuration, Build which program it was.
	Config string `json:"config,omitempty"`
	Build  string `json:"build,omitempty"`
	// Outputs is set where what consumers produced was compared, Kind then is an outcome.
	Outputs *Outputs `json:"outputs,omitempty"`
	// Redacted names what hashes stand for.
	Redacted []string `json:"redacted,omitempty"`
}

// A Side is what one side has.
type Side struct {
	System string `json:"system,omitempty"`
	Kind   string `json:"kind,omitempty"`
	What   string `json:"what,omitempty"`
	Frame  *Frame `json:"message"`
}

// A Frame is a message as a reader had it.
type Frame struct {
	Side string    `json:"side"`
	Read time.Time `json:"read"`
	// Stored is where that side holds it.
	Stored string `json:"stored,omitempty"`
	// Place and Loop are what was observed of it beside its content.
	Place   uint32          `json:"place,omitempty"`
	Loop    bool            `json:"loop,omitempty"`
	Message written.Message `json:"message"`
	// Text is the body, where it is text and not long, for a person.
	Text string `json:"text,omitempty"`
}

// Rules are what a comparison goes by.
type Rules struct {
	Grace   string    `json:"grace"` // as it was by then
	Late    string    `json:"late,omitempty"`
	Stuck   string    `json:"stuck,omitempty"`
	Content bool      `json:"content,omitempty"`
	Ignore  []string  `json:"ignore,omitempty"`
	Passed  time.Time `json:"passed,omitzero"`
}

// Of makes a bundle of evidence, which it shares the messages with.
func Of(e *compare.Evidence) *Bundle {
	b := &Bundle{
		Format: format, Comparison: e.Comparison, Kind: e.Finding.Kind.String(), At: e.At.UTC(), Extent: e.Finding.Extent,
		Rules: Rules{Grace: e.Report.Grace.String(), Content: e.Content, Ignore: e.Ignore, Passed: e.Passed},
	}
	if e.Drift.Late > 0 {
		b.Rules.Late = e.Drift.Late.String()
	}
	if e.Drift.Stuck > 0 {
		b.Rules.Stuck = e.Drift.Stuck.String()
	}
	for side, f := range e.Messages {
		if f != nil {
			frame := frameOf(f)
			b.side(drift.Side(side)).Frame = &frame
		}
	}
	for i := range e.History {
		b.History = append(b.History, frameOf(&e.History[i]))
	}
	b.Counts = map[string]uint64{"matched": e.Report.Matched}
	for k, n := range e.Report.Drift {
		b.Counts[drift.Kind(k).String()] = n
	}
	b.describe()
	return b
}

func (b *Bundle) side(s drift.Side) *Side {
	if s == drift.Incumbent {
		return &b.Incumbent
	}
	return &b.Candidate
}

func frameOf(f *compare.Frame) Frame {
	return Frame{
		Side: f.Side.String(), Read: f.Read.UTC(), Stored: f.Stored.String(), Place: f.Seen.Place, Loop: f.Seen.Loop, Message: written.Of(&f.Message),
	}
}

// describe writes what a person reads.
func (b *Bundle) describe() {
	for _, f := range b.frames() {
		f.Text = bridge.Printable(string(f.Message.Body), 400)
	}
	b.Lines = nil
	var read [2]*bridge.Message
	for s := range drift.Side(2) {
		f := b.side(s).Frame
		if f == nil {
			continue
		}
		if m, err := f.Message.Read(); err == nil {
			read[s] = &m
			b.Key, b.ID = bridge.Printable(m.Key, 200), bridge.Printable(m.ID.Value, 200)
		}
	}
	if b.Outputs != nil {
		b.describeOutput()
		return
	}
	if say := sayings[b.Kind]; say != "" {
		b.Lines = append(b.Lines, say)
	}
	if read[0] != nil && read[1] != nil && b.Kind != drift.Duplicate.String() {
		for _, d := range compare.Explain(read[0], read[1], b.Rules.Ignore) {
			b.Lines = append(b.Lines, d.String())
		}
	}
	if b.Extent > 0 {
		b.Lines = append(b.Lines, fmt.Sprintf("%d messages of its key came before it that should have come after it", b.Extent))
	}
}

// sayings are the kinds that need a word beside in what the messages differ.
var sayings = map[string]string{
	"missing":   "the incumbent has it, and the candidate has gone past it without",
	"extra":     "the candidate has it, and the incumbent never had",
	"duplicate": "the candidate has it once more than the incumbent",
	"misrouted": "it is elsewhere at the candidate than the mapping says",
	"late":      "it came later than the objective allows",
	"stuck_key": "nothing of its key has come for long, while other keys go on",
	"loop":      "it came round: it has been at the candidate before",
}

// frames are all that the bundle has.
func (b *Bundle) frames() (all []*Frame) {
	for _, f := range []*Frame{b.Incumbent.Frame, b.Candidate.Frame} {
		if f != nil {
			all = append(all, f)
		}
	}
	if b.Outputs != nil && b.Outputs.Control != nil {
		all = append(all, b.Outputs.Control)
	}
	for i := range b.History {
		all = append(all, &b.History[i])
	}
	return all
}

// Messages are those of the key that the bundle has of a side, "incumbent" or "candidate",
// oldest first.
func (b *Bundle) Messages(side string) (msgs []*bridge.Message, err error) {
	frames := b.History
	for _, f := range []*Frame{b.Incumbent.Frame, b.Candidate.Frame} {
		if f != nil {
			frames = with(frames, f)
		}
	}
	for i := range frames {
		if frames[i].Side != side {
			continue
		}
		m, err := frames[i].Message.Read()
		if err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		msgs = append(msgs, &m)
	}
	if len(msgs) == 0 {
		return nil, fmt.Errorf("bundle: it holds no messages of the %s", side)
	}
	return msgs, nil
}

// largest is far above what a bundle takes.
const largest = 1 << 30

// Read reads a bundle's file.
func Read(path string) (*Bundle, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, largest))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	b := &Bundle{}
	switch err := json.Unmarshal(data, b); {
	case err != nil:
		return nil, fmt.Errorf("bundle: %s is none, or is not whole: %w", path, err)
	case b.Format <= 0:
		return nil, fmt.Errorf("bundle: %s is none", path)
	case b.Format > format:
		return nil, fmt.Errorf("bundle: %s is of format %d, and this program reads up to %d: take the version that wrote it", path, b.Format, format)
	}
	return b, nil
}
