package irsa_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

const (
	roleAnnotation     = "eks.amazonaws.com/role-arn"
	audienceAnnotation = "eks.amazonaws.com/audience"

	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// site is a random application in a pod, with its configurable environment.
type site struct {
	*testing.T
	random *rand.Rand
	kit    *irsatest.Cluster
	home   home

	namespace, name string
	sa              *irsatest.ServiceAccount
	annotations     map[string]string // the service account's annotations
	pod             *irsatest.Pod
	injected        map[string]string // the environment that the webhook injected
	environ         map[string]string // set in the container; overrides injected
	claims          map[string]any    // additional claims of the pod's tokens
	apiServerAhead  time.Duration     // the clock of the API server

	roles    map[string]*irsatest.Role  // by ARN
	first    *irsatest.Role             // the pod's role
	next     *irsatest.Role             // the role that first assumes; nil without a role chain
	duration time.Duration              // Options.Duration
	policy   string                     // Options.Policy
	chain    stscreds.AssumeRoleOptions // the options of AssumeRole

	unknownHost string  // part of the names of nonexistent hosts; "" for none
	denial      *denial // nil for none

	provider *irsa.Provider // the pod's role; nil if the program does not run
	derived  *irsa.Provider // the last role; equal to provider without a role chain
}

// home is a region of AWS.
type home struct{ region, partition, domain string }

// homes are regions of each partition.
var homes = []home{
	{"us-west-2", "aws", "amazonaws.com"}, {"eu-central-1", "aws", "amazonaws.com"}, {"us-east-1", "aws", "amazonaws.com"},
	{"cn-north-1", "aws-cn", "amazonaws.com.cn"}, {"us-gov-west-1", "aws-us-gov", "amazonaws.com"}, {"eusc-de-east-1", "aws-eusc", "amazonaws.eu"},
	{"us-iso-east-1", "aws-iso", "c2s.ic.gov"}, {"us-isob-east-1", "aws-iso-b", "sc2s.sgov.gov"},
	{"eu-isoe-west-1", "aws-iso-e", "cloud.adc-e.uk"}, {"us-isof-south-1", "aws-iso-f", "csp.hci.ic.gov"},
}

// elsewhere returns a region of another partition.
func (s *site) elsewhere() home {
	for {
		if other := homes[s.random.IntN(len(homes))]; other.partition != s.home.partition {
			return other
		}
	}
}

// endpoint returns the URL of STS in the region.
func (s *site) endpoint() string { return "https://sts." + s.home.region + "." + s.home.domain }

// newSite returns a working site.
func newSite(t *testing.T, random *rand.Rand, b *breakage) *site {
	s := &site{
		T: t, random: random, home: homes[random.IntN(len(homes))], environ: map[string]string{}, claims: map[string]any{},
		annotations: map[string]string{}, roles: map[string]*irsatest.Role{},
	}
	t.Cleanup(s.restart)
	for b.eksIssuer && !strings.HasPrefix(s.home.domain, "amazonaws.com") || // issuers that the library does not know
		b.noFIPS && s.home.partition == "aws-us-gov" { // its usual endpoint is the one for FIPS
		s.home = homes[random.IntN(len(homes))]
	}
	s.namespace, s.name = s.pick("shop", "billing", "a"), s.pick("cart", "search.v2", "report-writer")
	s.kit = newCluster(t, func(o *irsatest.Options) {
		o.Region, o.AccountID = s.home.region, s.digits(12)
		if b.ownIssuer || !b.eksIssuer && s.chance() {
			o.IssuerURL = "https://oidc." + s.pick("example.com", "corp.example") + "/" + s.digits(8)
		}
	})
	s.sa = s.kit.ServiceAccount(s.namespace, s.name)
	s.addClaims(b)
	s.first = s.role(s.pick("s3-writer", "team/reader", "app.Role_1"))
	s.trust(s.first)
	s.annotations[roleAnnotation] = s.first.ARN()
	s.createPod()
	if b.application == chainOnly || b.application == either && s.chance() {
		s.addChain(b)
	}
	return s
}

func (s *site) pick(all ...string) string { return all[s.random.IntN(len(all))] }

func (s *site) digits(n int) string {
	var out strings.Builder
	for range n {
		fmt.Fprint(&out, s.random.IntN(10))
	}
	return out.String()
}

func (s *site) chance() bool { return s.random.IntN(2) == 0 }

// role creates a role, without a trust policy unless an option sets one.
func (s *site) role(name string, options ...irsatest.RoleOption) *irsatest.Role {
	r := s.kit.Role(name, options...)
	s.roles[r.ARN()] = r
	return r
}

// addClaims adds session tags and a source identity to the claims of tokens.
func (s *site) addClaims(b *breakage) {
	if b.claimTags || s.random.IntN(3) == 0 {
		tags := map[string]any{"principal_tags": map[string]any{"team": []string{"blue"}}}
		if b.transitive || s.chance() {
			tags["transitive_tag_keys"] = []string{"team"}
		}
		s.claims[tagsClaim] = tags
	}
	if b.claimIdentity || s.random.IntN(3) == 0 {
		s.claims[sourceIdentityClaim] = "alice"
	}
}

// createPod replaces the pod. The webhook injects the settings in the annotations.
func (s *site) createPod() {
	s.pod = s.kit.Pod(s.sa, s.first, func(o *irsatest.PodOptions) { o.Audience = s.annotations[audienceAnnotation] })
	s.rotate()
	s.injected = map[string]string{}
	for _, variable := range s.pod.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		s.injected[name] = value
	}
	s.injected["AWS_ROLE_ARN"] = s.annotations[roleAnnotation]
	s.injected["AWS_ENDPOINT_URL_STS"] = "" // the SDK's endpoints lead to the kit
	s.restart()
}

// rotate gives the pod a new token.
func (s *site) rotate(options ...func(*irsatest.TokenOptions)) {
	options = append(options, func(o *irsatest.TokenOptions) { o.ClockSkew = s.apiServerAhead })
	for name, value := range s.claims {
		options = append(options, irsatest.Claim(name, value))
	}
	s.pod.Rotate(options...)
}

// createToken writes a token that is not bound to a pod into a file, as on a developer's machine. The
// program uses that file.
func (s *site) createToken(options ...func(*irsatest.TokenOptions)) {
	for name, value := range s.claims {
		options = append(options, irsatest.Claim(name, value))
	}
	if s.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] == "" {
		s.environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = filepath.Join(s.TempDir(), "token")
	}
	require.NoError(s, os.WriteFile(s.environ["AWS_WEB_IDENTITY_TOKEN_FILE"], []byte(s.sa.Token(options...)), 0o600))
}

// addChain adds a role that the pod's role assumes, with random options.
func (s *site) addChain(b *breakage) {
	if b.externalID || s.chance() {
		s.chain.ExternalID = aws.String("id-" + s.digits(3))
	}
	if b.chainTags || s.chance() {
		s.chain.Tags = []types.Tag{{Key: aws.String("stage"), Value: aws.String("test")}}
		if s.chance() {
			s.chain.TransitiveTagKeys = []string{"stage"}
		}
	}
	if s.claims[sourceIdentityClaim] == nil && s.chance() {
		s.chain.SourceIdentity = aws.String("bob")
	}
	var options []irsatest.RoleOption
	if s.chance() {
		options = append(options, irsatest.InAccount(s.digits(12)))
	}
	s.next = s.role(s.pick("audit", "partner/import"), options...)
	s.trust(s.next)
}

// restart makes the program restart when it next needs credentials.
func (s *site) restart() {
	if s.provider != nil {
		require.NoError(s, s.provider.Close())
	}
	s.provider, s.derived = nil, nil
}

// start starts the program unless it is running.
func (s *site) start() error {
	if s.derived != nil {
		return nil
	}
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			s.Setenv(name, "")
		}
	}
	for _, variables := range []map[string]string{s.injected, s.environ} {
		for name, value := range variables {
			if value == "/var/run/secrets/eks.amazonaws.com/serviceaccount/token" {
				value = s.pod.TokenFile() // the path of this file in the kit
			}
			s.Setenv(name, value)
		}
	}
	var err error
	if s.provider, err = irsa.New(func(o *irsa.Options) {
		o.HTTPClient, o.Duration, o.Policy = &http.Client{Transport: roundTripper(s.roundTrip)}, s.duration, s.policy
	}); err != nil {
		return err
	}
	s.derived = s.provider
	if s.next != nil {
		s.derived, err = s.provider.AssumeRole(s.next.ARN(), func(o *stscreds.AssumeRoleOptions) {
			o.ExternalID, o.Tags, o.TransitiveTagKeys, o.SourceIdentity = s.chain.ExternalID, s.chain.Tags, s.chain.TransitiveTagKeys, s.chain.SourceIdentity
			o.Duration = cmp.Or(s.chain.Duration, o.Duration)
		})
	}
	return err
}

// credentials returns nil if the program obtains credentials within two minutes.
func (s *site) credentials() error {
	if err := s.start(); err != nil {
		s.restart()
		return err
	}
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Minute)
	defer cancel()
	return s.derived.WaitReady(ctx)
}

// roundTrip sends a request to the kit, unless its host does not exist.
func (s *site) roundTrip(r *http.Request) (*http.Response, error) {
	if s.unknownHost != "" && strings.Contains(r.URL.Host, s.unknownHost) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}}
	}
	return s.kit.HTTPClient().Transport.RoundTrip(r)
}

// adviceOf returns the advice in an error.
func adviceOf(t *testing.T, err error) string {
	var e *irsa.Error
	require.ErrorAs(t, err, &e)
	return e.Advice
}
