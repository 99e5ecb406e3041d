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

// TokenOptions configures a single token. See [ServiceAccount.Token] and [Pod.Rotate]. [Invalid]
// returns an option that makes the token invalid.
type TokenOptions struct {
	// Lifetime is the lifetime of the token. If zero, a pod's token has PodOptions.TokenLifetime, and
	// any other token 24 hours. If negative, the token expired that long ago. Times in tokens are
	// whole seconds.
	Lifetime time.Duration

	// Audiences is the aud claim. If empty, a pod's token has the pod's audience, and any other token
	// "sts.amazonaws.com".
	Audiences []string

	// ClockSkew shifts all times in the token, as if the API server's clock were ahead by that much.
	ClockSkew time.Duration

	// Claims adds claims or replaces default claims. A nil value removes the claim. A web identity
	// token contains session tags in "https://aws.amazon.com/tags", nested or flattened, and a source
	// identity in "https://aws.amazon.com/source_identity".
	Claims map[string]any

	defaultLifetime time.Duration
	signature       string // the defect of the signature, or "" if none
}

// Invalid returns an option that makes STS reject the token. It ends the test unless defect is
// one of the following:
//   - "expired": it expired an hour ago;
//   - "not yet valid": it was issued by a clock two hours ahead;
//   - "other issuer": its signature is valid, but its issuer is not registered in any AWS
//     account;
//   - "unknown key": it is signed with a key that the issuer does not publish;
//   - "bad signature": it has the signature of another token;
//   - "unsigned": it has no signature and alg none in its header.
//
// Defects can be combined, but only one of the last three can be used.
func Invalid(defect string) func(*TokenOptions) {
	return func(o *TokenOptions) {
		switch defect {
		case defectExpired:
			o.Lifetime = -time.Hour
		case defectNotYetValid:
			o.ClockSkew = 2 * time.Hour
		case defectOtherIssuer:
			Claim("iss", "https://oidc.eks.us-west-2.amazonaws.com/id/"+strings.Repeat("0", 32))(o)
		default:
			o.signature = defect
		}
	}
}

// Defects of tokens. The last three are signature defects.
const (
	defectExpired      = "expired"
	defectNotYetValid  = "not yet valid"
	defectOtherIssuer  = "other issuer"
	defectUnknownKey   = "unknown key"
	defectBadSignature = "bad signature"
	defectUnsigned     = "unsigned"
)

// Claim sets a claim of the token, or removes it if value is nil.
func Claim(name string, value any) func(*TokenOptions) {
	return func(o *TokenOptions) {
		o.Claims = maps.Clone(o.Claims)
		if o.Claims == nil {
			o.Claims = map[string]any{}
		}
		o.Claims[name] = value
	}
}

// objectRef identifies a Kubernetes object in the kubernetes.io claims.
type objectRef struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// mint returns a new token with the claims written by the Kubernetes 1.37 API server
// (pkg/serviceaccount/claims.go).
func (i *Issuer) mint(sa *ServiceAccount, kubernetes map[string]any, optFns ...func(*TokenOptions)) (string, error) {
	o := TokenOptions{defaultLifetime: defaultTokenLifetime}
	for _, fn := range optFns {
		fn(&o)
	}
	lifetime := cmp.Or(o.Lifetime, o.defaultLifetime)
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
	return i.sign(claims, o.signature)
}

// sign returns a token with the given claims, and with a defect unless it is "". As in Kubernetes,
// the header has alg and kid, but no typ.
func (i *Issuer) sign(claims map[string]any, defect string) (string, error) {
	switch defect {
	case "", defectUnknownKey, defectBadSignature:
	case defectUnsigned:
		return unsignedToken(claims)
	default:
		return "", fmt.Errorf("%q is not a defect of tokens: see Invalid", defect)
	}
	key, err := i.signingKey()
	if err == nil && defect == defectUnknownKey {
		key, err = newKey(key.Algorithm)
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
	if defect != defectBadSignature {
		return token, nil
	}
	other, err := jwt.Signed(signer).Claims(map[string]any{"jti": uuid()}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token[:strings.LastIndex(token, ".")] + other[strings.LastIndex(other, "."):], nil
}

// unsignedToken returns a token with alg none (RFC 7519, section 6), which a verifier must never
// accept.
func unsignedToken(claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("making a token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + ".", nil
}
