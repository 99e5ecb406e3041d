//go:build unix

package tokenfile_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestReadDoesNotBlockOnWhatIsNotAFile(t *testing.T) {
	t.Chdir(t.TempDir()) // the path of a socket must be short
	require.NoError(t, syscall.Mkfifo("pipe", 0o600))
	socket, err := net.Listen("unix", "socket")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, socket.Close()) })
	for _, tt := range []struct{ path, want string }{
		{"pipe", "a named pipe"},
		{"socket", "a socket"},
		{"/dev/zero", "a device"},
		{"/dev/null", "a device"},
	} {
		t.Run(tt.want+" "+tt.path, func(t *testing.T) {
			done := make(chan error, 1)
			go func() {
				_, err := tokenfile.Read(tt.path)
				done <- err
			}()
			select {
			case err := <-done:
				assert.EqualError(t, err, "tokenfile: "+tt.path+" is not a regular file but "+tt.want)
			case <-time.After(10 * time.Second):
				assert.Fail(t, "Read blocks")
			}
		})
	}
}
