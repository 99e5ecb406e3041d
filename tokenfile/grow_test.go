package tokenfile

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A file can grow after its size was determined, so the text read may be half a token.
func TestReadTextRejectsGrowingFile(t *testing.T) {
	for _, tt := range []struct {
		name       string
		size, then int64
		want       string // the error, or empty
	}{
		{"file system without sizes", 0, 1000, ""},
		{"it has become larger within the buffer", 10, minBuffer - 1, ""},
		{"it has become larger than the buffer", 10, minBuffer, "grew while it was read"},
		{"a larger file, within the buffer", 5000, 5000 + maxGrowth, ""},
		{"much larger", 10, 1 << 20, "grew while it was read"},
		{"a larger file", 5000, 5000 + maxGrowth + 1, "grew while it was read"},
		{"it has kept its size", 5000, 5000, ""},
		{"it has become smaller", 5000, 10, ""},
		{"it has kept the largest size", maxRead, maxRead, ""},
		{"larger than the largest size", maxRead, maxRead + 1, "has more than 32768 bytes"},
		{"it was too large already", math.MaxInt64, 1 << 20, "has more than 32768 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := strings.NewReader(strings.Repeat("a", int(tt.then)))
			text, err := readText(file, tt.size, "/token")
			if tt.want == "" {
				require.NoError(t, err)
				assert.Len(t, text, int(tt.then))
				return
			}
			require.ErrorIs(t, err, ErrMalformed, "so that Read tries again")
			require.ErrorContains(t, err, tt.want)
			assert.Empty(t, text)
			assert.LessOrEqual(t, tt.then-int64(file.Len()), int64(maxRead+1), "bytes read")
		})
	}
}
