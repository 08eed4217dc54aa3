package park

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"github.com/crossfade-mq/crossfade/bridge"
)

// fileMaxRecord bounds a record of a file, and what a damaged length can make a
// reader allocate.
const fileMaxRecord = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// fileJournal is a bridge.Journal in one append-only file: length(4) crc32c(4)
// record. A torn end, which a crash leaves, is cut off at opening.
type fileJournal struct {
	f    *os.File
	path string
}

// OpenFile opens, and creates where it is not there, the journal at path, for
// incumbents that keep none.
func OpenFile(path string) (bridge.Journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, bridge.Fatal(fmt.Errorf("park: %w", err), "Give the bridge a folder that it may write to.")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, bridge.Fatal(fmt.Errorf("park: %w", err), "Give the bridge a file that it may write to.")
	}
	j := &fileJournal{f: f, path: path}
	end, err := j.scan(func([]byte) error { return nil })
	if err == nil {
		err = f.Truncate(end)
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("park: %s: %w", path, err), f.Close())
	}
	return j, nil
}

// syncDir makes the file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Append writes and syncs one record. // I6
func (j *fileJournal) Append(_ context.Context, record []byte) error {
	if len(record) > fileMaxRecord {
		return fmt.Errorf("park: record of %d octets is larger than %d", len(record), fileMaxRecord)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 8+len(record)), uint32(len(record)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(record, castagnoli))
	b = append(b, record...)
	if _, err := j.f.Write(b); err != nil {
		return fmt.Errorf("park: %s: %w", j.path, err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("park: %s: %w", j.path, err)
	}
	return nil
}

// Replay reads the file from the front.
func (j *fileJournal) Replay(ctx context.Context, each func([]byte) error) error {
	_, err := j.scan(func(r []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return each(r)
	})
	return err
}

// scan calls each with every whole record and gives the offset behind the last.
func (j *fileJournal) scan(each func([]byte) error) (end int64, err error) {
	in := bufio.NewReader(io.NewSectionReader(j.f, 0, 1<<62))
	var head [8]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return end, tornIsFine(err)
		}
		n := binary.BigEndian.Uint32(head[:])
		if n > fileMaxRecord {
			return end, nil
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(in, record); err != nil {
			return end, tornIsFine(err)
		}
		if crc32.Checksum(record, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
			return end, nil
		}
		if err := each(record); err != nil {
			return end, err
		}
		end += int64(len(head)) + int64(n)
	}
}

func tornIsFine(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (j *fileJournal) MaxRecord() int { return fileMaxRecord }

func (j *fileJournal) Close() error { return j.f.Close() }
