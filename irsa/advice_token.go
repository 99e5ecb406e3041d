package irsa

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/tokenfile"
)

// tokenFileAdvice returns the advice for a token that cannot be read or is not a JWT.
func tokenFileAdvice(e *Error) advice {
	switch {
	case e.TokenFile == "":
		return advice{headingTokenSource, "Options.Token gave no token: its error says why"}
	case errors.Is(e.err, fs.ErrNotExist):
		return advice{headingTokenMissing, missingPart(e.TokenFile) + ": check that the pod has the projected volume and that this container mounts it"}
	case errors.Is(e.err, fs.ErrPermission):
		return advice{headingTokenPermission, describeAccess(e.TokenFile) + ": set securityContext.fsGroup in the pod, so that the kubelet lets the process's group read the token"}
	case errors.Is(e.err, tokenfile.ErrMalformed):
		return advice{headingTokenMalformed, "the file has to hold one JWT and nothing else: check what writes it, where that is not the kubelet"}
	default:
		return advice{headingTokenMalformed, "the path has to name the token file itself"}
	}
}

// missingPart returns a text about the part of a path that is missing.
func missingPart(path string) string {
	path = filepath.Clean(path)
	for parent := filepath.Dir(path); parent != path; path, parent = parent, filepath.Dir(parent) {
		if _, err := os.Lstat(path); err == nil {
			return path + " is a link to nothing"
		}
		if _, err := os.Stat(parent); err == nil {
			break
		}
	}
	return path + " does not exist"
}

// describeAccess returns a text about the mode and owner of a file, and the user and groups of the
// process.
func describeAccess(path string) string {
	process := fmt.Sprintf("the process runs as user %d and group %d", os.Getuid(), os.Getgid())
	if more, err := os.Getgroups(); err == nil && len(more) > 0 {
		process += fmt.Sprintf(" (and %s)", strings.Trim(fmt.Sprint(more), "[]"))
	}
	info, err := os.Stat(path)
	if err != nil {
		return process + ", which may not look into the folder"
	}
	return fmt.Sprintf("the file has the mode %s%s, and %s", info.Mode(), ownerOf(info), process)
}

// tokenExpiredAdvice returns the advice for a token that STS rejected as expired.
func tokenExpiredAdvice(e *Error) advice {
	const renewal = "the kubelet renews it when 80 % of its life have passed"
	switch now := time.Now(); {
	case e.TokenFile == "":
		return advice{headingTokenSource, "Options.Token gave a token that has expired: it has to give a new one for each call"}
	case now.Before(e.TokenExpiry):
		return advice{headingClock, fmt.Sprintf("by this node's clock the token is good until %s, so the node's clock is behind: check its time synchronisation", clockTime(e.TokenExpiry))}
	case neverRenewed(e.TokenFile):
		return advice{headingTokenNotRenewed, "the token is a file by itself and no link into the projected volume, so nobody renews it: mount the whole volume, without subPath, and do not copy the token"}
	default:
		return advice{headingTokenExpired, fmt.Sprintf("it expired %s ago, though %s: check that the service account still exists and the kubelet reaches the API server, or recreate the pod", now.Sub(e.TokenExpiry).Round(time.Second), renewal)}
	}
}

// neverRenewed reports whether path is a regular file, which the kubelet does not update.
// Projected files are links into ..data (pkg/volume/util/atomic_writer.go), unless they are
// mounted with subPath.
func neverRenewed(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

// tokenRejectedAdvice returns the advice for a token that STS rejected.
func tokenRejectedAdvice(e *Error) advice {
	account := "the role's account"
	if role, err := arn.Parse(e.RoleARN); err == nil && role.AccountID != "" {
		account += " (" + role.AccountID + ")"
	}
	provider, audience := argument(e.providerARN()), argument(e.audience())
	switch text := e.text(); {
	case e.issuedAt.After(time.Now().Add(time.Minute)) || strings.Contains(text, "not yet valid"):
		return advice{headingClock, fmt.Sprintf("the token was issued at %s, which is to come: the clock of the API server, or of this node, is wrong: check their time synchronisation", clockTime(e.issuedAt))}
	case strings.Contains(text, "No OpenIDConnect provider found") && !isPublic(e.Issuer):
		return advice{headingNoOIDCProvider, "the issuer is not a public https:// address, so AWS cannot fetch its keys: " + publish + ", and create an OIDC provider for it in " + account}
	case strings.Contains(text, "No OpenIDConnect provider found"):
		return advice{headingNoOIDCProvider, fmt.Sprintf("it has to be in %s; if the account and the cluster are the right ones, create it there: aws iam create-open-id-connect-provider --url %s --client-id-list %s", account, argument(e.Issuer), audience)}
	case strings.Contains(text, "Incorrect token audience") && e.audience() == stsAudience:
		return advice{headingAudience, fmt.Sprintf("the OIDC provider in %s does not take the token's audience: aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn %s --client-id %s", account, provider, audience)}
	case strings.Contains(text, "Incorrect token audience"):
		return advice{headingAudience, fmt.Sprintf("the token is for %q, and has to be for %s, in every partition: correct the audience of the projected volume, or of the service account's annotation eks.amazonaws.com/audience", e.audience(), stsAudience)}
	case strings.Contains(text, "thumbprint"):
		return advice{headingThumbprint, fmt.Sprintf("the issuer's certificate has changed: aws iam update-open-id-connect-provider-thumbprint --open-id-connect-provider-arn %s --thumbprint-list THUMBPRINT, where that is the SHA-1 of the topmost authority's certificate", provider)}
	case e.Code == "IDPRejectedClaim":
		return advice{headingTokenRejected, "the issuer calls the token invalid or revoked: check that the service account and the pod that it names still exist, and that the file is a projected token"}
	case e.Code == "InvalidParameterValue":
		return advice{headingTokenRejected, "a server other than AWS, such as MinIO, says so of a token that has expired, or is of another issuer or for another audience: check its OpenID settings"}
	default:
		return advice{headingTokenRejected, "STS does not take the token: check that the file is the projected token of a service account, not one of another kind"}
	}
}

const publish = "give the API server a public --service-account-issuer and publish its discovery document and keys there"

// isPublic reports whether AWS may be able to fetch an issuer's keys.
func isPublic(issuer string) bool {
	host, _, _ := strings.Cut(withoutScheme(issuer), "/")
	return strings.HasPrefix(issuer, "https://") && strings.Contains(host, ".") && !strings.Contains(host, ".svc")
}

func clockTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
