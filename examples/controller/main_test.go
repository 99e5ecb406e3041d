package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func TestRunStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.ErrorIs(t, run(ctx, &out), context.Canceled)
	assert.Equal(t, 2, strings.Count(out.String(), "\n"), "it prints no table")
}

// TestREADMEShowsOutput compares the output with README.md, apart from the numbers, and checks the
// numbers in both.
func TestREADMEShowsOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		require.NoError(t, compare(t.Context(), &out, irsatest.New(t), irsatest.New(t)))
		time.Sleep(time.Minute) // the SDK's caches continue after their callers have given up
		readme, err := os.ReadFile("README.md")
		require.NoError(t, err)
		block := regexp.MustCompile("(?s)```text\n(.*?)```").FindSubmatch(readme)
		require.NotNil(t, block)
		assert.Equal(t, outline(out.String()), outline(string(block[1])))
		assertTable(t, out.String())
		assertTable(t, string(block[1]))
	})
}

// outline returns the parts of text that are the same in every run.
func outline(text string) string {
	text = regexp.MustCompile(`(?m)(\d+|[\d.]+m?s) +(\d+|[\d.]+m?s)$`).ReplaceAllString(text, "n n")
	return regexp.MustCompile(" +").ReplaceAllString(text, " ")
}

// assertTable checks the table of a run.
func assertTable(t *testing.T, text string) {
	t.Helper()
	rows := map[string][2]time.Duration{} // a plain number counts as nanoseconds
	part := ""
	row := regexp.MustCompile(`^  (.+?) +(\S+) +(\S+)$`)
	for _, line := range strings.Split(text, "\n") {
		if cells := row.FindStringSubmatch(line); cells == nil {
			part = line
		} else if part != "" {
			rows[part+": "+cells[1]] = [2]time.Duration{parse(t, cells[2]), parse(t, cells[3])}
		}
	}
	require.Len(t, rows, 9, text)
	work := func(name string) (pool, sdk time.Duration) {
		cells := rows["8s of work: "+name]
		return cells[0], cells[1]
	}
	pool, sdk := work("STS calls")
	assert.GreaterOrEqual(t, int(pool), 3*tenants+1, "a call for each link, and for the role that denies access")
	assert.LessOrEqual(t, int(pool), 3*tenants+2)
	assert.Greater(t, sdk, 5*pool)
	pool, sdk = work("TokenRequests")
	assert.LessOrEqual(t, int(pool), tenants+2)
	assert.Greater(t, sdk, 5*pool)
	pool, sdk = work("waited for STS")
	_, all := work("reconciliations")
	assert.EqualValues(t, tenants, pool)
	assert.Equal(t, all, sdk)
	errs := rows["30s of 503: errors"]
	assert.Zero(t, errs[0])
	assert.Positive(t, errs[1])
	longest := rows["15s in which the STS calls of one tenant hang: their longest wait"]
	assert.Less(t, longest[0], time.Second)
	assert.Greater(t, longest[1], sdkTimeout/2)
}

func parse(t *testing.T, text string) time.Duration {
	t.Helper()
	if n, err := strconv.Atoi(text); err == nil {
		return time.Duration(n)
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err)
	return d
}
