// Mutants breaks the code at places that matter, one at a time, and shows that the
// tests notice each.
//
//	go run ./internal/mutants              all of them, some minutes
//	go run ./internal/mutants -only jitter those whose description has the word
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "the `word` that descriptions must have")
	skip := flag.Int("skip", 0, "how many to leave out at the beginning, after a run that was interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	survivors, err := tryAll(ctx, mutants[min(max(*skip, 0), len(mutants)):], *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
	if survivors > 0 {
		fmt.Fprintf(os.Stderr, "mutants: %d survived: each is a test that is missing\n", survivors)
		os.Exit(1)
	}
}

// tryAll tries each mutant and prints a line for it.
func tryAll(ctx context.Context, all []mutant, only string) (survivors int, err error) {
	folder, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	tried := 0
	for _, m := range all {
		if !strings.Contains(m.what, only) {
			continue
		}
		began := time.Now()
		verdict, err := m.try(ctx, folder)
		if ctx.Err() != nil {
			return survivors, ctx.Err()
		}
		if err != nil { // the mutant must be repaired
			verdict = survived
			fmt.Println(err)
		}
		tried++
		if verdict == survived {
			survivors++
		}
		fmt.Printf("%-8s %5.1f s  %-24s %s\n", verdict, time.Since(began).Seconds(), m.file, m.what)
	}
	fmt.Printf("%d of %d killed\n", tried-survivors, tried)
	return survivors, nil
}

// mutant is a place where the code is broken.
type mutant struct {
	what     string // is broken
	file     string
	old, new string
	tests    string // arguments of go test
}

// verdict is what the tests say of a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
)

// try runs the tests with the broken file in place of the good one.
func (m mutant) try(ctx context.Context, folder string) (verdict, error) {
	overlay, err := m.overlay(folder)
	if err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "./...") // #nosec G204 -- of this file's own making
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile, so it shows nothing: %s", out)
	}
	arguments := append([]string{"test", "-overlay", overlay, "-failfast"}, strings.Fields(m.tests)...)
	err = exec.CommandContext(ctx, "go", arguments...).Run() // #nosec G204 -- likewise
	var failed *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return survived, nil
	case errors.As(err, &failed):
		return killed, nil
	default:
		return "", err
	}
}

// overlay writes the broken file, and what tells the go command of it.
func (m mutant) overlay(folder string) (string, error) {
	good, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(good), m.old); n != 1 {
		return "", fmt.Errorf("%q is there %d times, not once", m.old, n)
	}
	broken := filepath.Join(folder, filepath.Base(m.file))
	if err := os.WriteFile(broken, []byte(strings.Replace(string(good), m.old, m.new, 1)), 0o600); err != nil { // #nosec G703 -- a folder of its own
		return "", err
	}
	path, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: broken}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(folder, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}
