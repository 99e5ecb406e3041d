package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
)

// Region converts a region name to lower case, because signatures and partition rules are
// case-sensitive. With a custom endpoint or client, it returns name unchanged, because other servers
// may use any case.
func (s *Shared) Region(name string) string {
	if s.Endpoint != "" || s.STS != nil || len(name) > MaxRegion {
		return name
	}
	return strings.ToLower(name)
}

// regionFromToken sets the region from the issuer of an EKS token. If the issuer has no region, it
// returns an error unless Options.STS is set, because that client has its own region.
func (env Environment) regionFromToken(ctx context.Context, c *Config) (explain.Heading, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Shared.AttemptTimeout)
	defer cancel()
	token, err := env.Token(ctx, c)
	var issuer string
	if err == nil {
		issuer = token.Claims().Issuer
		c.Region = explain.IssuerRegion(issuer)
	}
	switch {
	case c.Region != "" || c.Shared.STS != nil:
		return "", nil
	case err == nil && (explain.Facts{Claims: token.Claims()}).IsAPIServerToken():
		return explain.HeadingAudience, errors.New("no region is set, and the token is for the Kubernetes API server, not for STS")
	case err != nil:
		return explain.HeadingRegion, fmt.Errorf("no region is set, and none can be derived from the token: %w", err)
	default:
		return explain.HeadingRegion, fmt.Errorf("no region is set, and the token's issuer %s does not contain one", explain.Quote(issuer))
	}
}
