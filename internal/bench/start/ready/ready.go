// Package ready is what the programs of the start have in common.
package ready

import (
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Memory is what a program has taken until its first credentials.
type Memory struct {
	Mallocs, Bytes uint64
	Resident       uint64 // bytes, at most, of this program alone
}

// Report says that the first credentials are there, or ends the program.
func Report(keys aws.Credentials, err error) {
	if err == nil && keys.HasKeys() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		err = json.NewEncoder(os.Stdout).Encode(Memory{m.Mallocs, m.TotalAlloc, resident()})
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// resident is what Linux says in /proc; 0 elsewhere.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	amount, _, _ := strings.Cut(rest, " kB")
	kilobytes, err := strconv.ParseUint(strings.TrimSpace(amount), 10, 64)
	if err != nil {
		return 0
	}
	return kilobytes << 10
}
