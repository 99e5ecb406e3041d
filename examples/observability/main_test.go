package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

func TestRunPrintsREADMEOutputAndServesUntilInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out syncBuffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, &out, "127.0.0.1:0", true) }()
	address := regexp.MustCompile(`serving (http://[0-9.:]+)/metrics`)
	require.Eventually(t, func() bool { return len(ended) > 0 || address.MatchString(out.String()) }, time.Minute, 20*time.Millisecond)
	printed := out.String()
	require.Regexp(t, address, printed)
	url := address.FindStringSubmatch(printed)[1]

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Equal(t, outline(printed), outline(string(readme)))

	scrape, err := http.Get(url + "/metrics")
	require.NoError(t, err)
	problems, err := promlint.New(scrape.Body).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)

	interrupt()
	require.NoError(t, <-ended)
	_, err = http.Get(url + "/metrics")
	require.Error(t, err)
}

// outline returns the lines that are the same in every run: headings, probe responses, and the names
// of series, spans and instruments.
func outline(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		switch first, _, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(line, "# ") && line != "# Observability\n", strings.HasPrefix(line, "/"), first == "meter":
			lines = append(lines, line)
		case first == "span":
			lines = append(lines, strings.SplitN(line, ":", 2)[0])
		case strings.HasPrefix(line, "irsa_"):
			lines = append(lines, first)
		}
	}
	return lines
}

// syncBuffer is a buffer to which the program and its log can write concurrently.
type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
