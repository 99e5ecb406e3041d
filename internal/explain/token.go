package explain

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/tokenfile"
)

// tokenFileAdvice returns the advice for a token that cannot be read or is not a JWT.
func tokenFileAdvice(f Facts) Advice {
	switch {
	case f.TokenFile == "":
		return Advice{HeadingTokenSource, "Options.Token gave no token: its error says why"}
	case errors.Is(f.Err, fs.ErrNotExist):
		return Advice{HeadingTokenMissing, f.File.missing() + ": check that the pod has the projected volume and that this container mounts it"}
	case errors.Is(f.Err, fs.ErrPermission):
		return Advice{HeadingTokenPermission, f.File.Access() + ": set securityContext.fsGroup in the pod, so that the kubelet lets the process's group read the token"}
	case errors.Is(f.Err, tokenfile.ErrMalformed):
		return Advice{HeadingTokenMalformed, "the file has to hold one JWT and nothing else: check what writes it, where that is not the kubelet"}
	default:
		return Advice{HeadingTokenMalformed, "the path has to name the token file itself"}
	}
}

// tokenExpiredAdvice returns the advice for a token that STS rejected as expired.
func tokenExpiredAdvice(f Facts) Advice {
	const renewal = "the kubelet renews it when 80 % of its life have passed"
	switch {
	case f.TokenFile == "":
		return Advice{HeadingTokenSource, "Options.Token gave a token that has expired: it has to give a new one for each call"}
	case f.Now.Before(f.Claims.Expiry):
		return Advice{HeadingClock, fmt.Sprintf("by this node's clock the token is good until %s, so the node's clock is behind: check its time synchronisation", ClockTime(f.Claims.Expiry))}
	case f.File.NeverRenewed:
		return Advice{HeadingTokenNotRenewed, "the token is a file by itself and no link into the projected volume, so nobody renews it: mount the whole volume, without subPath, and do not copy the token"}
	default:
		return Advice{HeadingTokenExpired, fmt.Sprintf("it expired %s ago, though %s: check that the service account still exists and the kubelet reaches the API server, or recreate the pod", f.Now.Sub(f.Claims.Expiry).Round(time.Second), renewal)}
	}
}

// tokenRejectedAdvice returns the advice for a token that STS rejected.
func tokenRejectedAdvice(f Facts) Advice {
	account := "the role's account"
	if role, err := arn.Parse(f.RoleARN); err == nil && role.AccountID != "" {
		account += " (" + role.AccountID + ")"
	}
	provider, audience := argument(f.ProviderARN()), argument(f.audience())
	switch text := f.text(); {
	case f.Claims.IssuedAt.After(f.Now.Add(time.Minute)) || strings.Contains(text, "not yet valid"):
		return Advice{HeadingClock, fmt.Sprintf("the token was issued at %s, which is to come: the clock of the API server, or of this node, is wrong: check their time synchronisation", ClockTime(f.Claims.IssuedAt))}
	case strings.Contains(text, "No OpenIDConnect provider found") && !IsPublic(f.Claims.Issuer):
		return Advice{HeadingNoOIDCProvider, "the issuer is not a public https:// address, so AWS cannot fetch its keys: " + Publish + ", and create an OIDC provider for it in " + account}
	case strings.Contains(text, "No OpenIDConnect provider found"):
		return Advice{HeadingNoOIDCProvider, fmt.Sprintf("it has to be in %s; if the account and the cluster are the right ones, create it there: aws iam create-open-id-connect-provider --url %s --client-id-list %s", account, argument(f.Claims.Issuer), audience)}
	case strings.Contains(text, "Incorrect token audience") && f.audience() == STSAudience:
		return Advice{HeadingAudience, fmt.Sprintf("the OIDC provider in %s does not take the token's audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn %s --client-id %s", account, provider, audience)}
	case strings.Contains(text, "Incorrect token audience"):
		return Advice{HeadingAudience, fmt.Sprintf("the token is for %q, and has to be for %s, in every partition: correct the audience of the projected volume, or of the service account's annotation eks.amazonaws.com/audience", f.audience(), STSAudience)}
	case strings.Contains(text, "thumbprint"):
		return Advice{HeadingThumbprint, fmt.Sprintf("the issuer's certificate has changed: aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn %s --thumbprint-list THUMBPRINT, where that is the SHA-1 of the topmost authority's certificate", provider)}
	case f.Code == "IDPRejectedClaim":
		return Advice{HeadingTokenRejected, "the issuer calls the token invalid or revoked: check that the service account and the pod that it names still exist, and that the file is a projected token"}
	case f.Code == "InvalidParameterValue":
		return Advice{HeadingTokenRejected, "a server other than AWS, such as MinIO, says so of a token that has expired, or is of another issuer or for another audience: check its OpenID settings"}
	default:
		return Advice{HeadingTokenRejected, "STS does not take the token: check that the file is the projected token of a service account, not one of another kind"}
	}
}

// Publish is the advice for an issuer that AWS cannot reach.
const Publish = "give the API server a public --service-account-issuer and publish its discovery document and keys there"

// IsPublic reports whether AWS may be able to fetch an issuer's keys.
func IsPublic(issuer string) bool {
	host, _, _ := strings.Cut(WithoutScheme(issuer), "/")
	return strings.HasPrefix(issuer, "https://") && strings.Contains(host, ".") && !strings.Contains(host, ".svc")
}

// ClockTime returns the text of a time.
func ClockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
