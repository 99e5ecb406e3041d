package exchange

import (
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestFactsDescribeFailedRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	c := &config.Config{TokenFile: path, Shared: &config.Shared{}}
	err := TokenError(c, errors.New("cause"))
	require.NoError(t, os.Remove(path))
	assert.True(t, Facts(c, explain.ErrTokenFile, err, nil).File.Visible)
	assert.Zero(t, Facts(c, explain.ErrTokenFile, errors.New("cause"), nil).File, "no file is read")
	assert.Zero(t, TokenError(&config.Config{}, errors.New("cause")).File)
	assert.Equal(t, "Throttling", Facts(c, explain.ErrThrottled, &explain.RequestError{Code: "Throttling"}, nil).Code)
}

func TestFactsNameAlgorithmOfToken(t *testing.T) {
	token, err := tokenfile.Parse("eyJhbGciOiJIUzI1NiJ9.e30.c2ln")
	require.NoError(t, err)
	assert.Equal(t, "HS256", Facts(&config.Config{Shared: &config.Shared{}}, nil, nil, &token).Algorithm)
}

func TestFactsReportTrustedAuthorities(t *testing.T) {
	shared := config.Shared{Authorities: x509.NewCertPool}
	assert.True(t, Facts(&config.Config{Shared: &shared}, nil, nil, nil).CABundle)
	shared.HTTPClient = http.DefaultClient
	assert.False(t, Facts(&config.Config{Shared: &shared}, nil, nil, nil).CABundle, "the client has authorities of its own")
}

func TestInspectFileFindsMissingPart(t *testing.T) {
	directory := t.TempDir()
	regular, link := filepath.Join(directory, "regular"), filepath.Join(directory, "link")
	require.NoError(t, os.WriteFile(regular, nil, 0o600))
	if err := os.Symlink(filepath.Join(directory, "nowhere"), link); err != nil {
		t.Skip("this system has no links:", err)
	}
	for _, tt := range []struct {
		path, missing string
		dangling      bool
	}{
		{filepath.Join(directory, "none"), filepath.Join(directory, "none"), false},
		{filepath.Join(directory, "none", "token"), filepath.Join(directory, "none"), false},
		{filepath.Join(link, "token"), link, true},
		{link, link, true},
	} {
		file := InspectFile(tt.path)
		assert.Equal(t, tt.missing, file.Missing)
		assert.Equal(t, tt.dangling, file.DanglingLink)
		assert.False(t, file.Visible || file.NeverRenewed)
	}
	file := InspectFile(regular)
	assert.True(t, file.Visible && file.NeverRenewed)
}
