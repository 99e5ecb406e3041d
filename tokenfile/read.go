package tokenfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/irsakit/irsakit/internal/regularfile"
)

const (
	// The kubelet swaps a link and then removes the directory that it pointed
	// to (pkg/volume/util/atomic_writer.go), so a read between the two finds
	// no file; other writers truncate and rewrite, so it finds half a token.
	// Both are over in milliseconds.
	tries = 4
	pause = 10 * time.Millisecond

	// More than any token with the white space around it, and than most.
	maxRead = 32 << 10
	usual   = 4 << 10
)

// Read reads the token in the file at path. A file that is missing, empty or half
// written is tried again for some 30 ms, in which the kubelet has swapped it; so
// Read blocks for about that long at most, on a file system that answers.
//
// It returns an error that wraps [ErrMalformed] where the file holds something
// else than a token, and one that wraps [fs.ErrNotExist], [fs.ErrPermission] or
// what else the operating system reports where it cannot be read. It reads at most
// 32 KiB, and regular files only: for a directory, a named pipe, a socket or a device
// it returns an error at once. It is safe for concurrent use.
func Read(path string) (Token, error) { return Reread(path, Token{}) }

// Reread is Read for a token that is read again and again: where the file still holds
// known, it returns known, and so keeps it in memory once.
func Reread(path string, known Token) (Token, error) {
	for try := 1; ; try++ {
		token, err := readOnce(path, known)
		passing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrMalformed)
		if !passing || try == tries {
			return token, err
		}
		time.Sleep(pause)
	}
}

func readOnce(path string, known Token) (Token, error) {
	file, info, err := regularfile.Open(path)
	if err != nil {
		return Token{}, fmt.Errorf("tokenfile: %w", err)
	}
	defer file.Close()
	text, err := readText(file, info.Size(), path)
	if err != nil {
		return Token{}, err
	}
	if known.raw != nil && string(bytes.TrimSpace(text)) == known.Reveal() {
		return known, nil
	}
	token, err := Parse(string(text))
	if err != nil {
		return Token{}, fmt.Errorf("%w (%s)", err, path)
	}
	return token, nil
}

// readText reads the file at path, whose size was reported as size, in one call: to several,
// a file that is rewritten meanwhile gives parts of two tokens. All of a regular file comes
// at once. A file that has become larger is malformed, and never in memory as a whole.
func readText(file io.Reader, size int64, path string) ([]byte, error) {
	text := make([]byte, min(max(size, usual), maxRead)+1)
	n, err := file.Read(text)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("tokenfile: %w", err)
	case n > maxRead:
		return nil, fmt.Errorf("tokenfile: %w: %s has more than %d bytes, STS takes %d to %d", ErrMalformed, path, maxRead, minSize, maxSize)
	case n == len(text):
		return nil, fmt.Errorf("tokenfile: %w: %s grows while it is read", ErrMalformed, path)
	default:
		return text[:n], nil
	}
}
