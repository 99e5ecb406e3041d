package irsatest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// TokenOptions says how a token differs from a usual one: see
// [ServiceAccount.Token] and [Pod.Rotate]. Functions that break a token, such as
// [Expired], can be passed where options are.
type TokenOptions struct {
	// Life is how long the token is good: a pod's PodOptions.TokenLife, else 24
	// hours, if zero. With a negative Life it expired by as much ago. Tokens
	// carry whole seconds.
	Life time.Duration

	// Audiences is the aud claim: the pod's audience, else "sts.amazonaws.com",
	// if empty.
	Audiences []string

	// ClockSkew is by how much the clock of the API server that issues the token
	// is ahead; all times in the token move with it.
	ClockSkew time.Duration

	// Claims are set over the usual ones; nil leaves the claim out. Web identities
	// carry session tags in "https://aws.amazon.com/tags" and a source identity in
	// "https://aws.amazon.com/source_identity".
	Claims map[string]any

	defaultLifetime time.Duration
	flaw            flaw
}

// A flaw is what is wrong with a token's signature.
type flaw int

const (
	noFlaw flaw = iota
	unknownKey
	badSignature
	algNone
)

// Expired makes a token that expired an hour ago.
func Expired(o *TokenOptions) { o.Life = -time.Hour }

// NotYetValid makes a token by a clock two hours ahead.
func NotYetValid(o *TokenOptions) { o.ClockSkew = 2 * time.Hour }

// OtherIssuer makes a token that names an issuer of which no AWS account knows,
// though the key is right.
func OtherIssuer(o *TokenOptions) {
	Claim("iss", "https://oidc.eks.us-west-2.amazonaws.com/id/"+strings.Repeat("0", 32))(o)
}

// UnknownKey makes a token whose key the issuer does not publish.
func UnknownKey(o *TokenOptions) { o.flaw = unknownKey }

// BadSignature makes a token whose signature is another token's.
func BadSignature(o *TokenOptions) { o.flaw = badSignature }

// AlgNone makes a token without a signature, which says so in its header.
func AlgNone(o *TokenOptions) { o.flaw = algNone }

// Claim sets a claim, or leaves it out if value is nil.
func Claim(name string, value any) func(*TokenOptions) {
	return func(o *TokenOptions) {
		o.Claims = maps.Clone(o.Claims)
		if o.Claims == nil {
			o.Claims = map[string]any{}
		}
		o.Claims[name] = value
	}
}

type objectRef struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// mint makes a token with the claims that the Kubernetes 1.37 API server writes
// (pkg/serviceaccount/claims.go).
func (i *Issuer) mint(sa *ServiceAccount, kubernetes map[string]any, optFns ...func(*TokenOptions)) (string, error) {
	o := TokenOptions{defaultLifetime: defaultTokenLifetime}
	for _, fn := range optFns {
		fn(&o)
	}
	lifetime := cmp.Or(o.Life, o.defaultLifetime)
	if len(o.Audiences) == 0 {
		o.Audiences = []string{defaultAudience}
	}
	issued := time.Now().Add(o.ClockSkew)
	expiry := issued.Add(lifetime)
	if lifetime < 0 {
		issued = expiry.Add(-o.defaultLifetime)
	}
	claims := map[string]any{
		"aud":           o.Audiences,
		"exp":           expiry.Unix(),
		"iat":           issued.Unix(),
		"iss":           i.url,
		"jti":           uuid(),
		"kubernetes.io": kubernetes,
		"nbf":           issued.Unix(),
		"sub":           sa.Subject(),
	}
	for name, value := range o.Claims {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	return i.sign(claims, o.flaw)
}

// sign makes a token as Kubernetes does: with alg and kid in its header, no typ.
func (i *Issuer) sign(claims map[string]any, f flaw) (string, error) {
	if f == algNone {
		return unsignedToken(claims)
	}
	key, err := i.signingKey()
	if err == nil && f == unknownKey {
		key, err = newKey(Algorithm(key.Algorithm))
	}
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, nil)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	if f != badSignature {
		return token, nil
	}
	other, err := jwt.Signed(signer).Claims(map[string]any{"jti": uuid()}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token[:strings.LastIndex(token, ".")] + other[strings.LastIndex(other, "."):], nil
}

// unsignedToken makes a token with alg none (RFC 7519, section 6), which no verifier may accept.
func unsignedToken(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + ".", nil
}
