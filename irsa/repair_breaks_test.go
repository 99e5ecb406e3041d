package irsa_test

import (
	"strings"
	"time"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// breakage is one misconfiguration or failure of a site.
type breakage struct {
	kind, name  string
	application application
	breaks      func(*site)
	unknowable  string // why no advice can repair it; "" if the advice must

	// What the site must have for the breakage to take effect.
	ownIssuer, eksIssuer, noFIPS, externalID, claimTags, claimIdentity, transitive, chainTags bool
}

// application is the kind of program that a breakage applies to.
type application int

const (
	either    application = iota
	firstOnly             // uses only the pod's role
	chainOnly             // uses a role chain
)

// breakages returns all breakages.
func breakages() []breakage {
	var all []breakage
	for _, table := range [][]breakage{settingBreakages(), tokenBreakages(), trustBreakages(), requestBreakages(), policyBreakages()} {
		all = append(all, table...)
	}
	return all
}

// settingBreakages affect the partition, the region and the endpoint.
func settingBreakages() []breakage {
	env := func(name string, value func(*site) string) func(*site) {
		return func(s *site) { s.environ[name] = value(s) }
	}
	constant := func(value string) func(*site) string { return func(*site) string { return value } }
	region := func(value func(*site) string) func(*site) {
		return func(s *site) { s.environ["AWS_REGION"], s.environ["AWS_DEFAULT_REGION"] = value(s), "" }
	}
	return []breakage{
		{kind: "partition", name: "the role ARN has another partition", breaks: func(s *site) {
			s.annotations[roleAnnotation] = strings.Replace(s.first.ARN(), s.home.partition, s.elsewhere().partition, 1)
			s.createPod()
		}},
		{kind: "partition", name: "the region is in another partition", breaks: region(func(s *site) string { return s.elsewhere().region })},
		{kind: "region", name: "it is a zone", breaks: region(func(s *site) string { return s.home.region + s.pick("a", "b", "c") })},
		{kind: "region", name: "it is a pseudo region", breaks: region(func(s *site) string { return s.home.partition + "-global" })},
		{kind: "region", name: "it is misspelled", breaks: region(func(s *site) string { return strings.ReplaceAll(s.home.region, "-", "_") })},
		{kind: "region", name: "it does not exist", eksIssuer: true, breaks: func(s *site) {
			region(func(s *site) string { return s.home.region[:len(s.home.region)-1] + "9" })(s)
			s.unknownHost = s.environ["AWS_REGION"]
		}},
		{kind: "region", name: "it is missing", ownIssuer: true, breaks: region(constant(""))},
		{kind: "endpoint", name: "it is in another region", application: chainOnly, breaks: env("AWS_ENDPOINT_URL_STS", func(s *site) string {
			return strings.Replace(s.endpoint(), s.home.region, s.home.region[:len(s.home.region)-1]+"7", 1)
		})},
		{kind: "endpoint", name: "it is not encrypted", breaks: env("AWS_ENDPOINT_URL_STS", func(s *site) string {
			return strings.Replace(s.endpoint(), "https://", "http://", 1)
		})},
		{kind: "endpoint", name: "it has no scheme", breaks: env("AWS_ENDPOINT_URL_STS", func(s *site) string { return strings.TrimPrefix(s.endpoint(), "https://") })},
		{kind: "endpoint", name: "its host does not exist", breaks: env("AWS_ENDPOINT_URL_STS", constant("https://sts.corp.example"))},
		{kind: "endpoint", name: "there is none for FIPS", noFIPS: true, breaks: func(s *site) { s.environ["AWS_USE_FIPS_ENDPOINT"], s.unknownHost = "true", "fips" }},
		{kind: "endpoint", name: "there is none for dual stack", breaks: func(s *site) { s.environ["AWS_USE_DUALSTACK_ENDPOINT"], s.unknownHost = "true", ".api." }},
		{kind: "endpoint", name: "it is set together with FIPS", breaks: func(s *site) {
			s.environ["AWS_USE_FIPS_ENDPOINT"], s.environ["AWS_ENDPOINT_URL_STS"] = "true", s.endpoint()
		}},
		{kind: "endpoint", name: "a variable is neither true nor false", breaks: func(s *site) {
			s.environ[s.pick("AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT")] = "yes"
		}},
	}
}

// tokenBreakages affect the audience, the issuer and its keys, and the clocks.
func tokenBreakages() []breakage {
	rotate := func(flaw string) func(*site) { return func(s *site) { s.rotate(irsatest.Invalid(flaw)) } }
	return []breakage{
		{kind: "audience", name: "the token is for another service", breaks: func(s *site) {
			s.annotations[audienceAnnotation] = s.pick("vault", "sts.amazonaws.com.cn", "https://api.example.com")
			s.createPod()
		}},
		{kind: "audience", name: "the token was created for another service", breaks: func(s *site) {
			s.createToken(irsatest.Claim("aud", s.pick("vault", "https://kubernetes.default.svc", s.kit.Issuer.URL())))
		}},
		{kind: "audience", name: "the OIDC provider lacks it", breaks: func(s *site) { s.kit.RegisterIssuer(accountOf(s.first), s.kit.Issuer, "vault") }},
		{kind: "audience", name: "the token is for the API server", breaks: func(s *site) {
			other := s.kit.Pod(s.sa, s.first, func(o *irsatest.PodOptions) {
				o.Audience = s.pick("https://kubernetes.default.svc", s.kit.Issuer.URL())
			})
			s.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = other.TokenFile()
		}},
		{kind: "issuer", name: "it is not registered", breaks: func(s *site) { s.kit.UnregisterIssuer(accountOf(s.first), s.kit.Issuer) }},
		{kind: "issuer", name: "it is not public", unknowable: "the cluster needs another issuer, whose name only its operator knows", breaks: func(s *site) {
			s.rotate(irsatest.Claim("iss", s.pick("https://kubernetes.default.svc.cluster.local", "https://10.0.0.1:6443")))
		}},
		{kind: "issuer", name: "its certificate has changed", unknowable: "the thumbprint must be computed from the new certificate", breaks: func(s *site) {
			s.kit.STS.Fail(irsatest.Thumbprint, -1)
		}},
		{kind: "key", name: "the token's key was retired", breaks: func(s *site) {
			s.kit.Issuer.RotateKeys()
			s.kit.Issuer.RetireKeys()
		}},
		{kind: "key", name: "the token's key was never published", breaks: rotate("unknown key")},
		{kind: "key", name: "the signature is wrong", breaks: rotate("bad signature")},
		{kind: "clock", name: "the node's is behind", breaks: func(s *site) { s.kit.STS.SetClockSkew(25*time.Hour + time.Duration(s.random.IntN(100))*time.Hour) }},
		{kind: "clock", name: "the node's is wrong, and responses have no Date", application: chainOnly, breaks: func(s *site) {
			s.kit.STS.SetClockSkew(time.Duration(1-2*s.random.IntN(2)) * 10 * time.Minute)
			s.kit.STS.OmitDate(true)
		}},
		{kind: "clock", name: "the token was created an hour ago", breaks: func(s *site) { s.createToken(irsatest.Invalid("expired")) }},
		{kind: "key", name: "that of a created token was retired", breaks: func(s *site) {
			s.createToken()
			s.kit.Issuer.RotateKeys()
			s.kit.Issuer.RetireKeys()
		}},
		{kind: "clock", name: "the API server's is ahead", breaks: func(s *site) {
			s.apiServerAhead = 2 * time.Hour
			s.rotate()
		}},
		{kind: "clock", name: "the kubelet does not renew the token", breaks: func(s *site) { time.Sleep(25 * time.Hour) }},
	}
}
