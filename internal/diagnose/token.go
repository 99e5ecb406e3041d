package diagnose

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/exchange"
	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/internal/regularfile"
)

// path returns the path of the token file, or an empty path and the reason there is none.
func (d *diagnosis) path() (path, none string) {
	switch {
	case d.hasFunction():
		return "", "the tokens come from Options.Token"
	case d.config.TokenFile == "":
		return "", "no path is set"
	case !config.IsAbsolute(d.config.TokenFile):
		return "", "the path is not absolute"
	case len(d.config.TokenFile) > config.MaxIdentity:
		return "", "the path is too long"
	}
	return d.config.TokenFile, ""
}

// hasFunction reports whether tokens come from the application rather than a file.
func (d *diagnosis) hasFunction() bool { return d.given.Token != nil }

// bySource returns function if the tokens come from the application, and file otherwise.
func (d *diagnosis) bySource(file, function string) string {
	if d.hasFunction() {
		return function
	}
	return file
}

// checkTokenPath checks whether the path exists and whether the file is in a projected volume.
func (d *diagnosis) checkTokenPath(ctx context.Context) {
	path, none := d.path()
	if path == "" {
		d.skip(nameTokenPath, "%s", none)
		return
	}
	d.file = exchange.InspectFile(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.skip(nameTokenPath, "a directory in %s is not accessible", path)
	case err != nil:
		d.failWithKind(nameTokenPath, explain.ErrTokenFile, err)
	case !info.Mode().IsRegular():
		_, err := d.config.Token.Token(ctx) // its error describes the file type
		d.failWithKind(nameTokenPath, explain.ErrTokenFile, err)
	case d.file.NeverRenewed:
		d.add(nameTokenPath, Warned, path+" is a regular file, not a link into a projected volume, so the kubelet does not renew it",
			explain.Advice{Heading: explain.HeadingTokenNotRenewed, Text: "in a pod, mount the whole volume, without subPath, and do not copy the token. On your own computer, write a new token into the file before this one expires"})
	default:
		target, _ := os.Readlink(path) // "" if the link is a directory above it
		d.pass(nameTokenPath, "%s%s", path, strings.TrimSuffix(" -> "+target, " -> "))
	}
}

// checkTokenPermission checks whether the process may read the file.
func (d *diagnosis) checkTokenPermission(context.Context) {
	path, none := d.path()
	if path == "" {
		d.skip(nameTokenPermission, "%s", none)
		return
	}
	if d.result.has(nameTokenPath, Failed) {
		d.skip(nameTokenPermission, "there is no regular file at the path")
		return
	}
	file, _, err := regularfile.Open(path)
	if err != nil {
		d.failWithKind(nameTokenPermission, explain.ErrTokenFile, err)
		return
	}
	_ = file.Close()
	d.pass(nameTokenPermission, "%s", d.file.Access())
}

// checkToken reads the token the way an exchange does.
func (d *diagnosis) checkToken(ctx context.Context) {
	switch {
	case d.config.Token == nil:
		d.skip(nameToken, "its location is unknown")
		return
	case d.result.has(nameTokenPath, Failed) || d.result.has(nameTokenPermission, Failed):
		d.skip(nameToken, "it cannot be read")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	token, err := exchange.CallTokenSource(ctx, d.config)
	if err != nil {
		d.failWithKind(nameToken, explain.ErrTokenFile, err)
		return
	}
	d.token = &token
	d.result.Identity = d.identity()
	d.reviseRole()
	d.pass(nameToken, "it has the format of a signed JWT")
}

// checkClaims checks whether the token has the claims required by STS, and reports its issuer,
// subject and pod.
func (d *diagnosis) checkClaims(context.Context) {
	if d.token == nil {
		d.skip(nameClaims, "no token could be read")
		return
	}
	claims := d.token.Claims()
	var missing []string
	for _, claim := range []struct {
		name  string
		there bool
	}{
		{"iss", claims.Issuer != ""}, {"sub", claims.Subject != ""}, {"aud", len(claims.Audience) > 0},
		{"exp", !claims.Expiry.IsZero()}, {"iat", !claims.IssuedAt.IsZero()},
	} {
		if !claim.there {
			missing = append(missing, claim.name)
		}
	}
	who := fmt.Sprintf("issuer %s, subject %s", claims.Issuer, claims.Subject)
	if claims.Pod != "" {
		who += ", pod " + claims.Pod
	}
	isAWS := d.facts(nil, nil).IsAWS() // other servers accept other issuers
	switch {
	case len(missing) > 0:
		d.fail(nameClaims, fmt.Errorf("the token lacks the claims %s%s", strings.Join(missing, ", "), d.bySource(": it is not a projected token of a service account", "")),
			explain.Advice{Heading: explain.HeadingTokenRejected, Text: d.bySource("set "+config.EnvTokenFile+" to a projected token, not to the token of a service account's secret", "let Options.Token return tokens with these claims")})
	case isAWS && explain.IsUnregistrable(claims.Issuer):
		d.add(nameClaims, Warned, who+"; the issuer is an IP address or has a port, which IAM does not accept",
			explain.Advice{Heading: explain.HeadingNoOIDCProvider, Text: explain.IssuerRule})
	case isAWS && !explain.IsPublic(claims.Issuer):
		d.add(nameClaims, Warned, who+"; the issuer is not a public https:// address, so AWS cannot fetch its keys",
			explain.Advice{Heading: explain.HeadingVerificationKey, Text: explain.Publish})
	case !strings.HasPrefix(claims.Subject, "system:serviceaccount:"):
		d.add(nameClaims, Warned, who+"; the subject is not a Kubernetes service account",
			explain.Advice{Heading: explain.HeadingTokenRejected, Text: d.bySource("check that the file is the projected token of a service account", "check that Options.Token returns the token of a service account")})
	default:
		d.pass(nameClaims, "%s", who)
	}
}

// checkAudience checks whether the token is intended for STS.
func (d *diagnosis) checkAudience(context.Context) {
	if d.token == nil || len(d.token.Claims().Audience) == 0 {
		d.skip(nameAudience, "no token with an audience")
		return
	}
	audience := d.token.Claims().Audience
	if slices.Contains(audience, explain.STSAudience) {
		d.pass(nameAudience, "%s", strings.Join(audience, ", "))
		return
	}
	if f := d.facts(nil, nil); f.IsAPIServerToken() && f.IsAWS() {
		f.Kind, f.Code = explain.ErrTokenRejected, "InvalidIdentityToken"
		d.fail(nameAudience, fmt.Errorf("the token is for %s, the Kubernetes API server", strings.Join(audience, ", ")), explain.For(f))
		return
	}
	inFile := "correct the service account's annotation eks.amazonaws.com/audience, or the audience of the projected volume"
	if d.facts(nil, nil).IsUnbound() {
		inFile = "write a token with the audience " + explain.STSAudience + " into the file"
	}
	d.add(nameAudience, Warned, fmt.Sprintf("the token is for %s, not for %s", strings.Join(audience, ", "), explain.STSAudience),
		explain.Advice{Heading: explain.HeadingAudience, Text: d.bySource(inFile, "let Options.Token request tokens with the audience "+explain.STSAudience) + ", unless the OIDC provider in IAM has this client ID"})
}

// checkLifetime checks whether the token is valid and, in a projected volume, was renewed on time. The
// kubelet renews a token after 80% of its lifetime or 24 hours (requiresRefresh in
// pkg/kubelet/token/token_manager.go), at the next pod sync, which is about a minute later.
func (d *diagnosis) checkLifetime(context.Context) {
	if d.token == nil || d.token.Claims().Expiry.IsZero() || d.token.Claims().IssuedAt.IsZero() {
		d.skip(nameLifetime, "no token with an issue and expiry time")
		return
	}
	claims, now := d.token.Claims(), time.Now()
	life, left := claims.Expiry.Sub(claims.IssuedAt), claims.Expiry.Sub(now).Round(time.Second)
	renewal := claims.IssuedAt.Add(min(life/10*8, 24*time.Hour))
	until := fmt.Sprintf("it is valid until %s, for %v more", explain.ClockTime(claims.Expiry), left)
	switch {
	case left <= 0:
		f := d.facts(explain.ErrTokenExpired, fmt.Errorf("the token expired at %s", explain.ClockTime(claims.Expiry)))
		f.File, f.Code = d.file, "ExpiredToken"
		d.fail(nameLifetime, f.Err, explain.For(f))
	case now.Before(claims.IssuedAt.Add(-time.Minute)):
		d.add(nameLifetime, Warned, fmt.Sprintf("by this node's clock, the token was issued %v in the future", claims.IssuedAt.Sub(now).Round(time.Second)),
			explain.Advice{Heading: explain.HeadingClock, Text: "the clocks of the node and of the API server differ: check their time synchronization"})
	case d.hasFunction(), d.file.NeverRenewed:
		d.pass(nameLifetime, "%s", until)
	case now.After(renewal.Add(min(life/10, 5*time.Minute))):
		d.add(nameLifetime, Warned, fmt.Sprintf("%s; the kubelet should have renewed it at %s", until, explain.ClockTime(renewal)),
			explain.Advice{Heading: explain.HeadingTokenExpired, Text: "check that the service account still exists, and that the kubelet of this node reaches the API server (kubectl get node, and the kubelet's log). Then recreate the pod"})
	default:
		d.pass(nameLifetime, "%s; the kubelet renews it at %s or soon after", until, explain.ClockTime(renewal))
	}
}
