package explain

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/lazyregexp"
	"github.com/irsakit/irsakit/tokenfile"
)

// Facts describes a failure and the configuration of the request. The advice depends only on them.
type Facts struct {
	Kind            error // one of the kinds
	Err             error // the cause
	Code            string
	RoleARN         string
	Source          string        // the role whose credentials sign the request; empty for a web identity and for errors about settings
	Chained         bool          // the role is assumed in a role chain; implied by Source
	OwnRole         bool          // the role is set by the program, not the environment
	OwnToken        bool          // the token source is set by the program, not the environment
	ExternalID      string        // only for role chains, as are Tagged and Identified
	Duration        time.Duration // the requested session duration
	Tagged          bool          // the request has session tags
	Identified      bool          // the request has a source identity
	Region          string
	RegionSetting   string // the option or variable that sets the region; AWS_REGION if empty
	Endpoint        string // the configured endpoint; if empty, the region's default
	URL             string // the URL of STS; empty if unknown
	FIPS, DualStack bool   // the selected endpoint type
	CABundle        bool   // only the authorities in AWS_CA_BUNDLE are trusted
	TokenFile       string // empty if tokens are not read from a file
	Claims          tokenfile.Claims
	Algorithm       string // the signature algorithm of the token; empty if unknown
	File            File   // the token file; set for read failures and expired tokens
	Now             time.Time
}

func (f Facts) is(kind error) bool { return errors.Is(f.Kind, kind) }

func (f Facts) setup() setup {
	if f.Chained {
		return chained
	}
	return setupOf(f.Source)
}

func setupOf(source string) setup {
	if source == "" {
		return webIdentityRole
	}
	return chained
}

// text returns the message of Err, such as the one from STS, or "" if Err is nil.
func (f Facts) text() string {
	if f.Err == nil {
		return ""
	}
	return f.Err.Error()
}

// expand replaces the placeholders in a rule's text.
func (f Facts) expand(text string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		word, after, _ := strings.Cut(rest, "}")
		out.WriteString(f.value(word))
		text = after
	}
}

// value returns the value of a placeholder: a fact or a remedy.
func (f Facts) value(word string) string {
	switch word {
	case "role":
		return f.RoleARN
	case "rolename":
		return argument(f.RoleARN[strings.LastIndex(f.RoleARN, "/")+1:])
	case "rolepartition":
		return f.partition()
	case "account":
		return f.account()
	case "inactive":
		return f.inactiveAccount()
	case "signer":
		return f.signer()
	case "action":
		return f.action()
	case "inherited":
		return f.inherited()
	case "tokenfile":
		return cmp.Or(f.TokenFile, "the token")
	case "otherfile":
		return f.otherFile()
	case "duration":
		return f.Duration.String()
	case "seconds":
		return strconv.Itoa(int(f.Duration / time.Second))
	case "issuer":
		return f.Claims.Issuer
	case "tokenaudience":
		return Quote(strings.Join(f.Claims.Audience, ", "))
	case "issued":
		return ClockTime(f.Claims.IssuedAt)
	case "expiry":
		return ClockTime(f.Claims.Expiry)
	case "missing":
		return f.File.missing()
	case "access":
		return f.File.Access()
	default:
		return f.place(word)
	}
}

// place returns the value of a placeholder for the region, the issuer, STS, or the signature of a token
// or a new one.
func (f Facts) place(word string) string {
	switch word {
	case "algorithm":
		return Quote(f.Algorithm)
	case "region":
		return f.Region
	case "regionsetting":
		return cmp.Or(f.RegionSetting, "AWS_REGION")
	case "partition":
		return partitionOf(f.Region)
	case "endpointservice":
		return f.endpointService()
	case "host":
		host := &net.DNSError{}
		errors.As(f.Err, &host)
		return host.Name
	case "discovery": // OpenID Connect Discovery 1.0, section 4.1
		return strings.TrimSuffix(f.Claims.Issuer, "/") + "/.well-known/openid-configuration"
	case "stshost":
		return f.stsHost()
	case "url":
		return cmp.Or(f.URL, "STS")
	case "newtoken":
		return f.newToken(f.audience())
	case "ststoken":
		return f.newToken(STSAudience)
	default:
		return f.remedy(word)
	}
}

// stsHost returns the host of STS.
func (f Facts) stsHost() string {
	if u, err := url.Parse(f.URL); err == nil && u.Host != "" {
		return u.Host
	}
	return "the host of STS"
}

// webhookFile is the token file that the EKS webhook mounts.
const webhookFile = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"

// otherFile returns advice for a token file other than the webhook's, or "".
func (f Facts) otherFile() string {
	if strings.TrimPrefix(strings.ReplaceAll(f.TokenFile, `\`, "/"), "C:") == webhookFile {
		return ""
	}
	return "Unless you mount the token yourself, AWS_WEB_IDENTITY_TOKEN_FILE must be the path that the webhook sets, usually " + webhookFile + ". "
}

// partition returns the partition of the role, or "" if its ARN is invalid.
func (f Facts) partition() string {
	role, _ := arn.Parse(f.RoleARN)
	return role.Partition
}

// exampleARN returns the ARN of a role in the partition of the region.
func (f Facts) exampleARN() string {
	partition := partitionOf(f.Region)
	if partition == "" {
		partition = "aws"
	}
	return "arn:" + partition + ":iam::111122223333:role/name"
}

// account returns a phrase for the role's account, with its ID if known.
func (f Facts) account() string {
	if role, err := arn.Parse(f.RoleARN); err == nil && role.AccountID != "" {
		return "the role's account (" + role.AccountID + ")"
	}
	return "the role's account"
}

// namedAccount matches the account in STS's message about a disabled region.
var namedAccount = lazyregexp.New(`account: ?([0-9]{12})\b`)

// inactiveAccount returns a phrase for the account in which STS is not active: either the account
// named in the message or the caller's.
func (f Facts) inactiveAccount() string {
	role, _ := arn.Parse(f.RoleARN)
	switch id := group(namedAccount, f.text()); {
	case id == "" && f.Source != "":
		return "the account of " + f.Source
	case id != "" && id != role.AccountID:
		return "the account (" + id + ")"
	default:
		return f.account()
	}
}

// signer returns the name of the identity whose policies apply.
func (f Facts) signer() string {
	if f.Source == "" {
		return "the caller of " + f.RoleARN
	}
	return f.Source
}

// Actions of a request for credentials.
const (
	actionWebIdentity = "sts:AssumeRoleWithWebIdentity"
	actionAssumeRole  = "sts:AssumeRole"
	actionTags        = "sts:TagSession"
	actionIdentity    = "sts:SetSourceIdentity"
	actionContext     = "sts:SetContext"
)

// actionName matches the first action in STS's message.
var actionName = lazyregexp.New(`\bsts:[A-Za-z]+`)

// action returns the denied action, or the action of the request if the message does not name one.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
func (f Facts) action() string {
	if match := actionName.FindStringSubmatch(f.text()); match != nil {
		switch match[0] {
		case actionTags, actionIdentity, actionContext:
			return match[0]
		}
	}
	return f.request()
}

// request returns the action of the request itself.
func (f Facts) request() string {
	if f.Source == "" {
		return actionWebIdentity
	}
	return actionAssumeRole
}

// actions returns the known actions that the request needs, as a string or, if there are several, a
// []string.
func (f Facts) actions() any {
	all := []string{f.request()}
	if f.Tagged || f.action() == actionTags {
		all = append(all, actionTags)
	}
	if f.Identified || f.action() == actionIdentity {
		all = append(all, actionIdentity)
	}
	if f.action() == actionContext {
		all = append(all, actionContext)
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// inherited explains where tags and a source identity come from if they are not set by any option.
func (f Facts) inherited() string {
	switch {
	case f.action() == f.request(), f.action() == actionContext, f.action() == actionTags && f.Tagged, f.action() == actionIdentity && f.Identified:
		return ""
	case f.Source == "":
		return "The tags and the source identity come from the token's claims. "
	default:
		return "A role chain inherits the transitive tags and the source identity of the earlier session, so they are sent even if no option sets them. "
	}
}
