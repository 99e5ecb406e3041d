package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The verdicts on a token. Both verifiers reject a token without a verdict.
const (
	accepted    = "accepted by both"
	onlyIrsakit = "accepted by irsakit only"
	onlyGoOIDC  = "accepted by go-oidc only"
)

// tokens returns valid and invalid tokens and the verdicts on them, by name.
func (i *issuer) tokens(t testing.TB) (tokens, verdicts map[string]string) {
	t.Helper()
	tokens, verdicts = map[string]string{}, map[string]string{}
	add := func(name, token, verdict string) {
		require.NotContains(t, tokens, name)
		tokens[name] = token
		if verdict != "" {
			verdicts[name] = verdict
		}
	}
	header := func(name, header, verdict string) {
		add("header: "+name, i.token(t, header, goodClaims), verdict)
	}
	payload := func(name, claims, verdict string) { add("claims: "+name, i.token(t, goodHeader, claims), verdict) }
	// with returns the good claims with one claim set to a JSON value.
	with := func(claim, value string) string {
		var claims map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(goodClaims), &claims))
		claims[claim] = json.RawMessage(value)
		text, err := json.Marshal(claims)
		require.NoError(t, err)
		return string(text)
	}
	good := i.token(t, goodHeader, goodClaims)
	parts := strings.Split(good, ".")
	joined := func(parts ...string) string { return strings.Join(parts, ".") }

	// Algorithms.
	for algorithm, key := range map[string]string{"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521"} {
		header(algorithm, `{"alg":"`+algorithm+`","kid":"`+key+`"}`, accepted)
	}
	for algorithm, key := range map[string]string{"PS256": "rsa", "EdDSA": "ed25519", "HS256": "secret", "HS384": "secret", "none": "p256", "None": "p256", "NONE": "p256", "": "p256", "es256": "p256", "ES256K": "p256"} {
		header("algorithm "+algorithm, `{"alg":"`+algorithm+`","kid":"`+key+`"}`, "")
	}
	header("no algorithm", `{"kid":"p256"}`, "")
	header("an algorithm of a number", `{"alg":256,"kid":"p256"}`, "")
	add("none with a signature", joined(encode([]byte(`{"alg":"none","kid":"p256"}`)), parts[1], parts[2]), "")
	add("RS256 in the header of ES256", i.signedBy(t, "ES256", "p256", `{"alg":"RS256","kid":"p256"}`, goodClaims), "")
	add("RS384 in the header of RS256", i.signedBy(t, "RS256", "rsa", `{"alg":"RS384","kid":"rsa"}`, goodClaims), "")
	add("RS256 in the header of PS256", i.signedBy(t, "PS256", "rsa", `{"alg":"RS256","kid":"rsa"}`, goodClaims), "")
	add("ES384 with a key of P-256", i.signedBy(t, "ES384", "p256", `{"alg":"ES384","kid":"p256"}`, goodClaims), "")
	add("ES256 with a key of P-384", i.signedBy(t, "ES256", "p384", `{"alg":"ES256","kid":"p384"}`, goodClaims), "")
	der, err := x509.MarshalPKIXPublicKey(i.private["rsa"].Public())
	require.NoError(t, err)
	modulus := i.private["rsa"].Public().(*rsa.PublicKey).N.Bytes()
	for name, secret := range map[string][]byte{"PEM": publicPEM(t, i.private["rsa"]), "DER": der, "its modulus": modulus, "its JWK": []byte(i.jwk(t, "rsa", "rsa")), "nothing": {}} {
		for _, algorithm := range []string{"HS256", "RS256"} {
			input := joined(encode([]byte(`{"alg":"`+algorithm+`","kid":"rsa"}`)), parts[1])
			add(algorithm+" with a MAC by the public key, "+name, joined(input, encode(hmacOf(crypto.SHA256, secret, []byte(input)))), "")
		}
	}

	// Keys.
	add("the first of two keys of one ID", i.signedBy(t, "ES256", "twin", `{"alg":"ES256","kid":"twin"}`, goodClaims), accepted)
	add("the second of two keys of one ID", i.signedBy(t, "ES256", "other twin", `{"alg":"ES256","kid":"twin"}`, goodClaims), accepted)
	add("a stranger's key of a known ID", i.signedBy(t, "ES256", "stranger", goodHeader, goodClaims), "")
	add("a known key of a stranger's ID", i.signedBy(t, "ES256", "p256", `{"alg":"ES256","kid":"stranger"}`, goodClaims), "")
	add("another's ID", i.signedBy(t, "ES256", "p256", `{"alg":"ES256","kid":"twin"}`, goodClaims), "")
	header("a key ID in capitals", `{"alg":"ES256","kid":"P256"}`, "")
	header("no key ID", `{"alg":"ES256"}`, onlyGoOIDC)
	header("an empty key ID", `{"alg":"ES256","kid":""}`, onlyGoOIDC)
	header("a key ID of null", `{"alg":"ES256","kid":null}`, onlyGoOIDC)
	header("a key ID of a number", `{"alg":"ES256","kid":1}`, "")
	add("no key ID and a stranger's key", i.signedBy(t, "ES256", "stranger", `{"alg":"ES256"}`, goodClaims), "")

	// Other parameters of the header.
	header("a type", `{"alg":"ES256","kid":"p256","typ":"JWT","cty":"JWT","x":[1,{"y":null}]}`, accepted)
	header("two algorithms", `{"alg":"ES256","alg":"none","kid":"p256"}`, "")
	header("two algorithms alike", `{"alg":"ES256","alg":"ES256","kid":"p256"}`, "")
	header("two key IDs", `{"alg":"ES256","kid":"stranger","kid":"p256"}`, "")
	header("algorithms in two cases", `{"ALG":"none","alg":"ES256","kid":"p256"}`, accepted)
	header("an unknown critical parameter", `{"alg":"ES256","kid":"p256","crit":["exp"],"exp":4102444800}`, "")
	header("nothing critical", `{"alg":"ES256","kid":"p256","crit":[]}`, accepted) // go-jose is lenient here
	header("critical of a string", `{"alg":"ES256","kid":"p256","crit":"b64"}`, "")
	header("critical b64", `{"alg":"ES256","kid":"p256","crit":["b64"],"b64":true}`, accepted)
	unencoded := encode([]byte(`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`))
	add("header: b64 of false", joined(unencoded, parts[1], encode(i.sign(t, "ES256", "p256", []byte(joined(unencoded, goodClaims))))), accepted)
	header("b64 of false, signed as if true", `{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`, "")
	for name, text := range map[string]string{"nothing": "", "a list": `["ES256"]`, "null": "null", "a word": `"ES256"`, "half": `{"alg":"ES256"`, "more than one": goodHeader + goodHeader, "bytes": "\xff\x00"} {
		add("header of "+name, i.signedBy(t, "ES256", "p256", text, goodClaims), "")
	}
	strangers := i.jwk(t, "stranger", "stranger")
	private, err := json.Marshal(jose.JSONWebKey{Key: i.private["stranger"], KeyID: "stranger"})
	require.NoError(t, err)
	for name, text := range map[string]string{
		"a key in the header":                    `{"alg":"ES256","jwk":` + strangers + `}`,
		"a key in the header, and its ID":        `{"alg":"ES256","kid":"stranger","jwk":` + strangers + `}`,
		"a key in the header, and a known ID":    `{"alg":"ES256","kid":"p256","jwk":` + strangers + `}`,
		"a private key in the header":            `{"alg":"ES256","kid":"p256","jwk":` + string(private) + `}`,
		"a URL of keys in the header":            `{"alg":"ES256","kid":"stranger","jku":"https://stranger.example/keys"}`,
		"a certificate in the header":            `{"alg":"ES256","kid":"stranger","x5c":["AAAA"]}`,
		"a certificate's URL in the header":      `{"alg":"ES256","kid":"stranger","x5u":"https://stranger.example/"}`,
		"a key in the header that cannot be one": `{"alg":"ES256","kid":"p256","jwk":{}}`,
	} {
		add(name, i.signedBy(t, "ES256", "stranger", text, goodClaims), "")
	}
	header("a stranger's key beside a good signature", `{"alg":"ES256","kid":"p256","jwk":`+strangers+`}`, accepted)

	// Signatures.
	other := strings.Split(i.token(t, goodHeader, with("sub", `"other"`)), ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	flipped := slices.Clone(signature)
	flipped[10] ^= 1
	sum := sha256.Sum256([]byte(joined(parts[0], parts[1])))
	asn1, err := ecdsa.SignASN1(rand.Reader, i.private["p256"].(*ecdsa.PrivateKey), sum[:])
	require.NoError(t, err)
	for name, text := range map[string]string{
		"another's": other[2], "none": "", "one bit": encode(flipped), "zeros": encode(make([]byte, 64)), "DER": encode(asn1),
		"one byte less": encode(signature[:63]), "one byte more": encode(append(slices.Clone(signature), 0)), "twice": encode(append(slices.Clone(signature), signature...)),
	} {
		add("signature: "+name, joined(parts[0], parts[1], text), "")
	}
	add("signature of other claims", joined(parts[0], other[1], parts[2]), "")

	// The serialization.
	add("good", good, accepted)
	for name, text := range map[string]string{
		"empty": "", "a word": "token", "dots": "..", "too many dots": "...", "half": good[:len(good)/2], "all but a character": good[:len(good)-1],
		"no signature": joined(parts[0], parts[1]), "no signature but a dot": joined(parts[0], parts[1], ""), "header only": parts[0],
		"a dot at the end": good + ".", "a dot at the beginning": "." + good, "two dots together": joined(parts[0], "", parts[1], parts[2]), "five parts": joined(good, "a", "b"), "two tokens": good + "." + good,
		"padded header": joined(parts[0]+"=", parts[1], parts[2]), "padded claims": joined(parts[0], parts[1]+"=", parts[2]), "padded signature": good + "==",
		"base64 of another alphabet": joined(parts[0], parts[1], base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 64)))),
		"a zero byte":                good + "\x00", "a percent sign": good + "%20", "not UTF-8": good + "\xff", "bearer": "Bearer" + good,
		"detached claims": joined(parts[0], "", parts[2]), "too long": joined(parts[0], parts[1], strings.Repeat("A", 20000)),
	} {
		add("serialization: "+name, text, "")
	}
	for name, text := range map[string]string{
		"before": " " + good, "after": good + " ", "inside": good[:20] + "\t" + good[20:], "a space of Unicode": good + "\u2003", "around a dot": joined(parts[0]+" ", " "+parts[1], parts[2]),
		"flattened JSON": `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"JSON":           `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
	} {
		add("serialization: "+name, text, onlyGoOIDC)
	}
	add("serialization: a line's end", good+"\r\n", accepted) // the base64 decoder ignores line breaks
	add("serialization: JSON with two signatures", `{"payload":"`+parts[1]+`","signatures":[`+strings.Repeat(`{"protected":"`+parts[0]+`","signature":"`+parts[2]+`"},`, 2)+`]}`, "")
	add("serialization: longer than STS takes", i.token(t, goodHeader, with("x", `"`+strings.Repeat("x", 15000)+`"`)), onlyGoOIDC)

	// The issuer.
	for name, value := range map[string]string{
		"another": `"https://other.example"`, "a slash more": `"` + issuerURL + `/"`, "capitals": `"HTTPS://issuer.example"`, "no scheme": `"issuer.example"`,
		"a path": `"` + issuerURL + `/id"`, "a space": `"` + issuerURL + ` "`, "empty": `""`, "null": `null`, "a number": `1`, "a list": `["` + issuerURL + `"]`,
	} {
		payload("issuer "+name, with("iss", value), "")
	}
	payload("no issuer", `{"sub":"system:serviceaccount:shop:cart","aud":"sts.amazonaws.com","exp":4102444800,"iat":1}`, "")
	payload("an issuer in capitals", strings.Replace(goodClaims, `"iss"`, `"ISS"`, 1), onlyGoOIDC)
	payload("a second issuer in capitals", with("ISS", `"https://other.example"`), accepted) // sorts before iss
	payload("a second issuer that encoding/json reads for the first", with("i\u017fs", `"https://other.example"`), "")
	payload("another issuer, and a second that encoding/json reads for the first", strings.Replace(goodClaims, `"iss":`, `"iss":"https://other.example","ISS":`, 1), onlyGoOIDC)
	payload("two issuers", strings.Replace(goodClaims, `"iss":`, `"iss":"https://other.example","iss":`, 1), onlyGoOIDC)
	payload("two issuers, the second another", strings.Replace(goodClaims, `"sub":`, `"iss":"https://other.example","sub":`, 1), "")

	// Other claims.
	for name, text := range map[string]string{"nothing": "", "null": "null", "a list": "[]", "a word": `"x"`, "half": goodClaims[:40], "more than one": goodClaims + "{}", "an empty object": "{}"} {
		payload(name, text, "")
	}
	payload("white space", " \n"+goodClaims+"\t", accepted)
	payload("a long list of audiences", with("aud", `["a", "b", "sts.amazonaws.com"]`), accepted)
	payload("another audience", with("aud", `"vault"`), accepted)
	payload("no audience in a list", with("aud", `[]`), accepted)
	payload("an audience of null in a list", with("aud", `[null]`), onlyGoOIDC)
	payload("an audience of null", with("aud", `null`), onlyGoOIDC)
	payload("an audience of a number", with("aud", `1`), "")
	payload("an audience of an object", with("aud", `{}`), "")
	payload("an audience of numbers", with("aud", `["sts.amazonaws.com", 1]`), "")
	payload("a subject of a number", with("sub", `1`), "")
	payload("no subject", with("sub", `null`), onlyGoOIDC)
	payload("expired", with("exp", `1`), accepted)
	payload("not yet valid", with("nbf", `4102444800`), accepted)
	payload("a time with a fraction", with("iat", `1767312000.5`), accepted)
	payload("a time with an exponent", with("exp", `4.1e9`), accepted)
	payload("a time of digits in quotes", with("exp", `"4102444800"`), accepted)
	payload("a time of a word", with("exp", `"tomorrow"`), "")
	payload("a time of true", with("nbf", `true`), "")
	payload("a time beyond a float64", with("exp", `1e400`), "")
	payload("a time beyond a float64, in quotes", with("exp", `"1e400"`), onlyIrsakit)
	payload("a time of null under a name in capitals", with("EXP", `null`), onlyIrsakit)
	payload("a number beyond a float64", with("x", `1e400`), onlyGoOIDC)
	payload("two claims of one name", strings.Replace(goodClaims, `{`, `{"x":1,"x":2,`, 1), onlyGoOIDC)
	payload("a nonce of a number", with("nonce", `1`), onlyIrsakit)
	payload("a hash of a number", with("at_hash", `1`), onlyIrsakit)
	payload("distributed claims from nowhere", with("_claim_names", `{"sub":"elsewhere"}`), onlyIrsakit)
	payload("distributed claims", strings.Replace(goodClaims, `{`, `{"_claim_names":{"sub":"a"},"_claim_sources":{"a":{"endpoint":"https://other.example"}},`, 1), accepted)
	return tokens, verdicts
}

func TestAssumeRoleWithWebIdentityAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t)
	v := i.verifiers(t)
	tokens, verdicts := i.tokens(t)
	seen := map[string]bool{}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			byIrsakit, reason := v.requireAgreement(t, token)
			seen[reason] = true
			switch verdicts[name] {
			case accepted:
				assert.True(t, byIrsakit)
				assert.Empty(t, reason)
			case onlyIrsakit:
				assert.True(t, byIrsakit)
				assert.NotEmpty(t, reason)
			case onlyGoOIDC:
				assert.False(t, byIrsakit)
				assert.NotEmpty(t, reason)
			default:
				assert.False(t, byIrsakit)
				assert.Empty(t, reason)
			}
		})
	}
	for _, d := range differences {
		assert.True(t, seen[d.reason], "no token shows that %s", d.reason)
	}
}
