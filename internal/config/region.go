package config

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/explain"
)

// normalizeRegion sets the region of AWS to lower case. In another case it would be another one in
// signatures and for the rules of partitions. Other servers can have regions in any case.
func (c *Config) normalizeRegion() {
	if c.Shared.Endpoint == "" && c.Shared.STS == nil && len(c.Region) <= MaxRegion {
		c.Region = strings.ToLower(c.Region)
	}
}

// regionFromToken sets the region to that in the issuer of an EKS cluster. Without one it
// returns an error, unless Options.STS is set, which has its own region.
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
		return explain.HeadingRegion, fmt.Errorf("no region is set, and the token, whose issuer can name one, cannot be read: %w", err)
	default:
		return explain.HeadingRegion, fmt.Errorf("no region is set, and the token's issuer %s does not contain one", explain.Quote(issuer))
	}
}
