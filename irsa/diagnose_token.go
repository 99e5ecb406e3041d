package irsa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/regularfile"
)

// file returns the path of the token file, or an empty path and the reason.
func (d *diagnosis) file() (path, none string) {
	switch {
	case d.opts.Token != nil:
		return "", "Options.Token gives the tokens"
	case d.config.TokenFile == "":
		return "", "there is no path"
	case !isAbsolute(d.config.TokenFile):
		return "", "the path is not absolute"
	}
	return d.config.TokenFile, ""
}

// tokenPath checks whether each part of the path exists, and whether the file is in a projected
// volume.
func (d *diagnosis) tokenPath(ctx context.Context) {
	path, none := d.file()
	if path == "" {
		d.skip(checkTokenPath, "%s", none)
		return
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.skip(checkTokenPath, "a folder in %s may not be looked into", path)
	case err != nil:
		e := d.facts(ErrTokenFile, err)
		e.set(adviceFor(e))
		d.fail(checkTokenPath, e)
	case !info.Mode().IsRegular():
		_, err := d.config.tokens.Token(ctx) // its error names the file type
		e := d.facts(ErrTokenFile, err)
		e.set(adviceFor(e))
		d.fail(checkTokenPath, e)
	case neverRenewed(path):
		d.add(checkTokenPath, CheckWarned, path+" is a file by itself, and no link into a projected volume: the kubelet does not renew it",
			advice{headingTokenNotRenewed, "mount the whole volume, without subPath, and do not copy the token"})
	default:
		target, _ := os.Readlink(path) // "" if a folder above is the link
		d.pass(checkTokenPath, "%s%s", path, strings.TrimSuffix(" -> "+target, " -> "))
	}
}

// tokenPermission checks whether the process may read the file.
func (d *diagnosis) tokenPermission(context.Context) {
	path, none := d.file()
	if path == "" {
		d.skip(checkTokenPermission, "%s", none)
		return
	}
	if d.report.has(checkTokenPath, CheckFailed) {
		d.skip(checkTokenPermission, "there is no such file")
		return
	}
	file, _, err := regularfile.Open(path)
	if err != nil {
		e := d.facts(ErrTokenFile, err)
		e.set(adviceFor(e))
		d.fail(checkTokenPermission, e)
		return
	}
	_ = file.Close()
	d.pass(checkTokenPermission, "%s", describeAccess(path))
}

// readToken reads the token as an exchange does.
func (d *diagnosis) readToken(ctx context.Context) {
	switch {
	case d.config.tokens == nil:
		d.skip(checkToken, "nothing says where it is")
		return
	case d.report.has(checkTokenPath, CheckFailed) || d.report.has(checkTokenPermission, CheckFailed):
		d.skip(checkToken, "it cannot be read")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeLimit)
	defer cancel()
	token, err := d.config.tokens.Token(ctx)
	if err != nil {
		e := d.facts(ErrTokenFile, err)
		e.set(adviceFor(e))
		d.fail(checkToken, e)
		return
	}
	d.token = &token
	d.report.identity = d.identity()
	d.pass(checkToken, "it has the shape of a signed JWT")
}

// claims checks whether the token has the claims that STS requires, and reports its issuer,
// subject and pod.
func (d *diagnosis) claims(context.Context) {
	if d.token == nil {
		d.skip(checkClaims, "there is no token")
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
	switch {
	case len(missing) > 0:
		e := d.facts(ErrTokenRejected, fmt.Errorf("the token lacks the claims %s: it is not a projected token of a service account", strings.Join(missing, ", ")))
		e.set(advice{headingTokenRejected, "let " + envTokenFile + " name a projected token; the token of a service account's secret is none"})
		d.fail(checkClaims, e)
	case !isPublic(claims.Issuer):
		d.add(checkClaims, CheckWarned, who+"; the issuer is not a public https:// address, so AWS cannot fetch its keys",
			advice{headingVerificationKey, publish})
	case !strings.HasPrefix(claims.Subject, "system:serviceaccount:"):
		d.add(checkClaims, CheckWarned, who+"; the subject is not a Kubernetes service account's",
			advice{headingTokenRejected, "check that the file is the projected token of a service account"})
	default:
		d.pass(checkClaims, "%s", who)
	}
}

// audience checks whether the token's audience is STS.
func (d *diagnosis) audience(context.Context) {
	if d.token == nil || len(d.token.Claims().Audience) == 0 {
		d.skip(checkAudience, "there is none")
		return
	}
	audience := d.token.Claims().Audience
	if slices.Contains(audience, stsAudience) {
		d.pass(checkAudience, "%s", strings.Join(audience, ", "))
		return
	}
	d.add(checkAudience, CheckWarned, fmt.Sprintf("%s, and not %s, which it usually is in every partition", strings.Join(audience, ", "), stsAudience),
		advice{headingAudience, "correct the audience of the projected volume, or of the service account's annotation eks.amazonaws.com/audience, unless the OIDC provider in IAM has this client ID"})
}

// lifetime checks whether the token is valid, and whether the kubelet has renewed it on time. The
// kubelet renews a token after 80% of its lifetime or 24 hours (requiresRefresh in
// pkg/kubelet/token/token_manager.go), at the next sync of the pod, about a minute later.
func (d *diagnosis) lifetime(context.Context) {
	if d.token == nil || d.token.Claims().Expiry.IsZero() || d.token.Claims().IssuedAt.IsZero() {
		d.skip(checkLifetime, "there is no token with its times")
		return
	}
	claims, now := d.token.Claims(), time.Now()
	life, left := claims.Expiry.Sub(claims.IssuedAt), claims.Expiry.Sub(now).Round(time.Second)
	renewal := claims.IssuedAt.Add(min(life/10*8, 24*time.Hour))
	until := fmt.Sprintf("it is good until %s, for %v more", clockTime(claims.Expiry), left)
	switch {
	case left <= 0:
		e := d.facts(ErrTokenExpired, fmt.Errorf("by this node's clock it expired at %s", clockTime(claims.Expiry)))
		e.set(adviceFor(e))
		d.fail(checkLifetime, e)
	case now.Before(claims.IssuedAt.Add(-time.Minute)):
		d.add(checkLifetime, CheckWarned, fmt.Sprintf("by this node's clock it will be issued in %v", claims.IssuedAt.Sub(now).Round(time.Second)),
			advice{headingClock, "the clocks of the node and of the API server differ: check their time synchronisation"})
	case now.After(renewal.Add(min(life/10, 5*time.Minute))):
		d.add(checkLifetime, CheckWarned, fmt.Sprintf("%s; the kubelet should have renewed it at %s", until, clockTime(renewal)),
			advice{headingTokenExpired, "check that the service account still exists and the kubelet reaches the API server (kubectl get node, and the kubelet's log), or recreate the pod"})
	default:
		d.pass(checkLifetime, "%s; the kubelet renews it at %s or soon after", until, clockTime(renewal))
	}
}
