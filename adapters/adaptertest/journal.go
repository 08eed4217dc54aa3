package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/crossfade-mq/crossfade/bridge"
)

var journalChecks = []check{
	{"Journal", "replays every record in order, also after it was opened again", []waiver{needsSource, needsJournals}, journalReplays},
	{"Journal", "takes records of any size up to MaxRecord", []waiver{needsSource, needsJournals}, journalSizes},
	{"Journal", "keeps purposes apart", []waiver{needsSource, needsJournals}, journalPurposes},
	{"Journal", "survives death without Close", []waiver{needsSource, needsJournals}, journalDeath},
	{"Journal", "survives the restart of the system", []waiver{needsSource, needsJournals, needsRestart}, journalRestart},
}

func (e *env) journal(p Process, purpose string) bridge.Journal {
	e.Helper()
	var j bridge.Journal
	err := e.bounded("OpenJournal", func(ctx context.Context) (err error) {
		j, err = p.Source.(bridge.JournalOpener).OpenJournal(ctx, purpose)
		return err
	})
	if err != nil {
		e.Fatalf("open the journal %s: %v", purpose, err)
	}
	e.Cleanup(func() {
		if err := e.bounded("Close of the journal", func(context.Context) error { return j.Close() }); err != nil {
			e.Logf("close of the journal: %v", err)
		}
	})
	return j
}

func (e *env) closeJournal(j bridge.Journal) {
	e.Helper()
	if err := e.bounded("Close of the journal", func(context.Context) error { return j.Close() }); err != nil {
		e.Errorf("close of the journal: %v", err)
	}
}

func (e *env) appendTo(j bridge.Journal, records ...[]byte) {
	e.Helper()
	for _, r := range records {
		own := bytes.Clone(r)
		if err := e.bounded("Append", func(ctx context.Context) error { return j.Append(ctx, own) }); err != nil {
			e.Fatalf("append %d octets: %v", len(r), err)
		}
		clear(own) // it is the caller's again
	}
}

func (e *env) wantRecords(j bridge.Journal, want ...[]byte) {
	e.Helper()
	var got [][]byte
	err := e.bounded("Replay", func(ctx context.Context) error {
		return j.Replay(ctx, func(r []byte) error {
			got = append(got, bytes.Clone(r))
			return nil
		})
	})
	if err != nil {
		e.Fatalf("replay: %v", err)
	}
	if len(got) != len(want) {
		e.Errorf("replay gave %d records, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !bytes.Equal(got[i], want[i]) {
			e.Errorf("record %d is %.40q of %d octets, want %.40q of %d", i, got[i], len(got[i]), want[i], len(want[i]))
		}
	}
}

func numbered(n int) (records [][]byte) {
	for i := range n {
		records = append(records, fmt.Appendf(nil, "record %d", i))
	}
	return records
}

func journalReplays(e *env) {
	j := e.journal(e.process(), "checks")
	e.wantRecords(j)
	want := numbered(30)
	e.appendTo(j, want[:10]...)
	e.wantRecords(j, want[:10]...)
	e.wantRecords(j, want[:10]...)
	e.closeJournal(j)
	j = e.journal(e.process(), "checks")
	e.appendTo(j, want[10:20]...)
	e.wantRecords(j, want[:20]...)
	e.closeJournal(j)
	j = e.journal(e.process(), "checks")
	e.wantRecords(j, want[:20]...)
	e.appendTo(j, want[20:]...)
	e.wantRecords(j, want...)
	// Replay stops at the first error, and gives it.
	enough, calls := errors.New("enough"), 0
	err := e.bounded("Replay", func(ctx context.Context) error {
		return j.Replay(ctx, func([]byte) error {
			if calls++; calls == 7 {
				return enough
			}
			return nil
		})
	})
	if !errors.Is(err, enough) || calls != 7 {
		e.Errorf("replay that is stopped at the 7th record: %d calls, %v", calls, err)
	}
	e.wantRecords(j, want...)
}

func journalSizes(e *env) {
	j := e.journal(e.process(), "checks")
	most := j.MaxRecord()
	if most < 1<<16 {
		e.Errorf("MaxRecord is %d octets, a message of 64 KiB could not be parked", most)
	}
	largest := min(most, 8<<20)
	sizes := []int{0, 1, 100, 4096, largest/2 + 1, largest, 1}
	var want [][]byte
	for _, n := range sizes {
		r := make([]byte, n)
		for i := range r {
			r[i] = byte(i * 31)
		}
		want = append(want, r)
	}
	e.appendTo(j, want...)
	if most <= 64<<20 {
		err := e.bounded("Append", func(ctx context.Context) error { return j.Append(ctx, make([]byte, most+1)) })
		if err == nil {
			e.Errorf("a record of MaxRecord+1 = %d octets was taken", most+1)
		}
	}
	e.appendTo(j, []byte("behind"))
	want = append(want, []byte("behind"))
	e.wantRecords(j, want...)
	e.closeJournal(j)
	e.wantRecords(e.journal(e.process(), "checks"), want...)
}

func journalPurposes(e *env) {
	p := e.process()
	one, two := e.journal(p, "checks"), e.journal(p, "others")
	want := numbered(6)
	e.appendTo(one, want[:2]...)
	e.appendTo(two, want[2:4]...)
	e.appendTo(one, want[4:]...)
	e.wantRecords(two, want[2:4]...)
	e.wantRecords(one, want[0], want[1], want[4], want[5])
}

func journalDeath(e *env) {
	p := e.process()
	want := numbered(12)
	e.appendTo(e.journal(p, "checks"), want[:9]...)
	e.die(p)
	j := e.journal(e.process(), "checks")
	e.wantRecords(j, want[:9]...)
	e.appendTo(j, want[9:]...)
	e.wantRecords(j, want...)
}

func journalRestart(e *env) {
	want := numbered(9)
	e.appendTo(e.journal(e.process(), "checks"), want...)
	e.restart()
	e.wantRecords(e.journal(e.process(), "checks"), want...)
}
