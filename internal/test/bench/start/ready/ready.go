// Package ready contains the code that the programs of the measure "start" share.
package ready

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Memory contains the memory that a program used until its first credentials.
type Memory struct {
	Mallocs, Bytes uint64
	Resident       uint64 // the peak resident set size of the program, in bytes
}

// Report prints the memory used until the first credentials. If err is not nil, it prints err and exits.
func Report(keys aws.Credentials, err error) {
	if err == nil && keys.HasKeys() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		status, _ := os.ReadFile("/proc/self/status") // empty on other systems than Linux
		_, peak, _ := strings.Cut(string(status), "VmHWM:")
		var kilobytes uint64
		_, _ = fmt.Sscan(peak, &kilobytes)
		err = json.NewEncoder(os.Stdout).Encode(Memory{m.Mallocs, m.TotalAlloc, kilobytes << 10})
	}
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}
