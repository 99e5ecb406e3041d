package tokenfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/irsakit/irsakit/internal/jwt"
	"github.com/irsakit/irsakit/internal/regularfile"
)

const (
	// The kubelet swaps a symbolic link and then removes the directory that the link
	// pointed to (pkg/volume/util/atomic_writer.go). A read between the two finds no
	// file. Other writers truncate and rewrite the file, so a read may find half a
	// token. Both states last only milliseconds.
	maxReads      = 4
	retryInterval = 10 * time.Millisecond

	// maxRead exceeds the size of any token, including surrounding white space.
	maxRead = 32 << 10

	// maxGrowth is how many bytes a file may grow after it is opened.
	maxGrowth = 64
)

// Read reads the token in the file at path. It retries for about 30 ms while the file
// is missing, empty or half written, because the kubelet completes a rotation within
// that time. On a responsive file system, Read therefore takes at most about 30 ms.
//
// If the file does not contain a token, the error wraps [ErrMalformed]. If it cannot be
// read, the error wraps [fs.ErrNotExist], [fs.ErrPermission] or another operating
// system error. Only regular files of at most 32 KiB are accepted. If path names
// another type of file, such as a named pipe, Read returns an error immediately. Read
// is safe for concurrent use.
func Read(path string) (Token, error) { return Reread(path, Token{}) }

// Reread is like [Read], but returns previous if the file still contains it, so that
// repeated reads keep only one copy in memory.
func Reread(path string, previous Token) (Token, error) {
	for n := 1; ; n++ {
		token, err := readOnce(path, previous)
		transient := errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrMalformed)
		if !transient || n == maxReads {
			return token, err
		}
		time.Sleep(retryInterval)
	}
}

func readOnce(path string, previous Token) (Token, error) {
	file, info, err := regularfile.Open(path)
	if err != nil {
		if jwt.ContainsToken(path) { // keep the token out of the error
			return Token{}, fmt.Errorf("tokenfile: the path contains a token: %w", fs.ErrNotExist)
		}
		return Token{}, fmt.Errorf("tokenfile: %w", err)
	}
	defer file.Close()
	text, err := readText(file, info.Size(), path)
	if err != nil {
		return Token{}, err
	}
	if previous.hasText(bytes.TrimSpace(text)) {
		return previous, nil
	}
	token, err := parse(text)
	if err != nil {
		return Token{}, fmt.Errorf("%w (%s)", err, path)
	}
	return token, nil
}

// minBuffer is the minimum size of the read buffer. Some file systems report a size of 0, or an
// outdated size.
const minBuffer = 4 << 10

// readText reads the file at path, whose reported size is size bytes. A single call to
// Read returns all of a regular file, whereas several calls could return parts of two
// tokens if the file is rewritten in between. A file that has grown beyond the buffer
// is malformed, and is not read any further.
func readText(file io.Reader, size int64, path string) ([]byte, error) {
	text := make([]byte, max(min(size, maxRead-maxGrowth)+maxGrowth+1, minBuffer))
	n, err := file.Read(text)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("tokenfile: %w", err)
	case n > maxRead:
		return nil, fmt.Errorf("tokenfile: %w: it has more than %d bytes; STS accepts %d to %d (%s)", ErrMalformed, maxRead, minSize, maxSize, path)
	case n == len(text):
		return nil, fmt.Errorf("tokenfile: %w: the file grew while it was read (%s)", ErrMalformed, path)
	default:
		return text[:n], nil
	}
}
