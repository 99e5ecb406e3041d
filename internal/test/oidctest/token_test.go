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
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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
	header("number as algorithm", `{"alg":256,"kid":"p256"}`, "")
	add("algorithm none with signature", joined(encode([]byte(`{"alg":"none","kid":"p256"}`)), parts[1], parts[2]), "")
	add("header RS256, signed with ES256", i.signedBy(t, "ES256", "p256", `{"alg":"RS256","kid":"p256"}`, goodClaims), "")
	add("header RS384, signed with RS256", i.signedBy(t, "RS256", "rsa", `{"alg":"RS384","kid":"rsa"}`, goodClaims), "")
	add("header RS256, signed with PS256", i.signedBy(t, "PS256", "rsa", `{"alg":"RS256","kid":"rsa"}`, goodClaims), "")
	add("ES384 with P-256 key", i.signedBy(t, "ES384", "p256", `{"alg":"ES384","kid":"p256"}`, goodClaims), "")
	add("ES256 with P-384 key", i.signedBy(t, "ES256", "p384", `{"alg":"ES256","kid":"p384"}`, goodClaims), "")
	der, err := x509.MarshalPKIXPublicKey(i.private["rsa"].Public())
	require.NoError(t, err)
	modulus := i.private["rsa"].Public().(*rsa.PublicKey).N.Bytes()
	for name, secret := range map[string][]byte{"PEM": publicPEM(t, i.private["rsa"]), "DER": der, "modulus": modulus, "JWK": []byte(i.jwk(t, "rsa", "rsa")), "empty": {}} {
		for _, algorithm := range []string{"HS256", "RS256"} {
			input := joined(encode([]byte(`{"alg":"`+algorithm+`","kid":"rsa"}`)), parts[1])
			add(algorithm+" header, MAC with public key as secret: "+name, joined(input, encode(hmacOf(crypto.SHA256, secret, []byte(input)))), "")
		}
	}

	// Keys.
	add("first of two keys with one ID", i.signedBy(t, "ES256", "twin", `{"alg":"ES256","kid":"twin"}`, goodClaims), accepted)
	add("second of two keys with one ID", i.signedBy(t, "ES256", "other twin", `{"alg":"ES256","kid":"twin"}`, goodClaims), accepted)
	add("unknown key with known ID", i.signedBy(t, "ES256", "unknown", goodHeader, goodClaims), "")
	add("known key with unknown ID", i.signedBy(t, "ES256", "p256", `{"alg":"ES256","kid":"unknown"}`, goodClaims), "")
	add("known key with ID of another key", i.signedBy(t, "ES256", "p256", `{"alg":"ES256","kid":"twin"}`, goodClaims), "")
	header("key ID in capitals", `{"alg":"ES256","kid":"P256"}`, "")
	header("no key ID", `{"alg":"ES256"}`, onlyGoOIDC)
	header("empty key ID", `{"alg":"ES256","kid":""}`, onlyGoOIDC)
	header("null as key ID", `{"alg":"ES256","kid":null}`, onlyGoOIDC)
	header("number as key ID", `{"alg":"ES256","kid":1}`, "")
	add("no key ID, unknown key", i.signedBy(t, "ES256", "unknown", `{"alg":"ES256"}`, goodClaims), "")

	// Other parameters of the header.
	header("type and unknown parameter", `{"alg":"ES256","kid":"p256","typ":"JWT","cty":"JWT","x":[1,{"y":null}]}`, accepted)
	header("two algorithms", `{"alg":"ES256","alg":"none","kid":"p256"}`, "")
	header("same algorithm twice", `{"alg":"ES256","alg":"ES256","kid":"p256"}`, "")
	header("two key IDs", `{"alg":"ES256","kid":"unknown","kid":"p256"}`, "")
	header("second algorithm in capitals", `{"ALG":"none","alg":"ES256","kid":"p256"}`, accepted)
	header("unknown critical parameter", `{"alg":"ES256","kid":"p256","crit":["exp"],"exp":4102444800}`, "")
	header("empty crit", `{"alg":"ES256","kid":"p256","crit":[]}`, accepted) // go-jose is lenient here
	header("string as crit", `{"alg":"ES256","kid":"p256","crit":"b64"}`, "")
	header("critical b64", `{"alg":"ES256","kid":"p256","crit":["b64"],"b64":true}`, accepted)
	unencoded := encode([]byte(`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`))
	add("header: b64 false", joined(unencoded, parts[1], encode(i.sign(t, "ES256", "p256", []byte(joined(unencoded, goodClaims))))), accepted)
	header("b64 false, signed as if true", `{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`, "")
	for name, text := range map[string]string{"empty": "", "list": `["ES256"]`, "null": "null", "string": `"ES256"`, "truncated": `{"alg":"ES256"`, "two objects": goodHeader + goodHeader, "not UTF-8": "\xff\x00"} {
		add("header: "+name, i.signedBy(t, "ES256", "p256", text, goodClaims), "")
	}
	unknown := i.jwk(t, "unknown", "unknown")
	private, err := json.Marshal(jose.JSONWebKey{Key: i.private["unknown"], KeyID: "unknown"})
	require.NoError(t, err)
	for name, text := range map[string]string{
		"header with unknown key":              `{"alg":"ES256","jwk":` + unknown + `}`,
		"header with unknown key and its ID":   `{"alg":"ES256","kid":"unknown","jwk":` + unknown + `}`,
		"header with unknown key and known ID": `{"alg":"ES256","kid":"p256","jwk":` + unknown + `}`,
		"header with unknown private key":      `{"alg":"ES256","kid":"p256","jwk":` + string(private) + `}`,
		"header with URL of keys":              `{"alg":"ES256","kid":"unknown","jku":"https://other.example/keys"}`,
		"header with certificate":              `{"alg":"ES256","kid":"unknown","x5c":["AAAA"]}`,
		"header with URL of certificate":       `{"alg":"ES256","kid":"unknown","x5u":"https://other.example/"}`,
		"header with empty key":                `{"alg":"ES256","kid":"p256","jwk":{}}`,
	} {
		add(name, i.signedBy(t, "ES256", "unknown", text, goodClaims), "")
	}
	header("unknown key in header, valid signature", `{"alg":"ES256","kid":"p256","jwk":`+unknown+`}`, accepted)

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
		"of another token": other[2], "empty": "", "one bit flipped": encode(flipped), "zeros": encode(make([]byte, 64)), "DER": encode(asn1),
		"one byte short": encode(signature[:63]), "one byte long": encode(append(slices.Clone(signature), 0)), "repeated": encode(append(slices.Clone(signature), signature...)),
	} {
		add("signature: "+name, joined(parts[0], parts[1], text), "")
	}
	add("signature: of other claims", joined(parts[0], other[1], parts[2]), "")

	// The serialization.
	add("good", good, accepted)
	for name, text := range map[string]string{
		"empty": "", "word": "token", "two dots": "..", "three dots": "...", "truncated": good[:len(good)/2], "one character short": good[:len(good)-1],
		"no signature": joined(parts[0], parts[1]), "empty signature": joined(parts[0], parts[1], ""), "header only": parts[0],
		"dot at the end": good + ".", "dot at the beginning": "." + good, "empty part": joined(parts[0], "", parts[1], parts[2]), "five parts": joined(good, "a", "b"), "two tokens": good + "." + good,
		"padded header": joined(parts[0]+"=", parts[1], parts[2]), "padded claims": joined(parts[0], parts[1]+"=", parts[2]), "padded signature": good + "==",
		"standard base64 alphabet": joined(parts[0], parts[1], base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\xff", 64)))),
		"zero byte":                good + "\x00", "percent encoding": good + "%20", "not UTF-8": good + "\xff", "bearer": "Bearer" + good,
		"detached claims": joined(parts[0], "", parts[2]), "too long": joined(parts[0], parts[1], strings.Repeat("A", 20000)),
	} {
		add("serialization: "+name, text, "")
	}
	for name, text := range map[string]string{
		"space before": " " + good, "space after": good + " ", "tab inside": good[:20] + "\t" + good[20:], "Unicode space": good + "\u2003", "spaces around dot": joined(parts[0]+" ", " "+parts[1], parts[2]),
		"flattened JSON": `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`,
		"JSON":           `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`,
	} {
		add("serialization: "+name, text, onlyGoOIDC)
	}
	add("serialization: line break", good+"\r\n", accepted) // the base64 decoder ignores line breaks
	add("serialization: JSON with two signatures", `{"payload":"`+parts[1]+`","signatures":[`+strings.Repeat(`{"protected":"`+parts[0]+`","signature":"`+parts[2]+`"},`, 2)+`]}`, "")
	add("serialization: longer than STS accepts", i.token(t, goodHeader, with("x", `"`+strings.Repeat("x", 15000)+`"`)), onlyGoOIDC)

	// The issuer.
	for name, value := range map[string]string{
		"another": `"https://other.example"`, "slash at the end": `"` + issuerURL + `/"`, "capitals": `"HTTPS://issuer.example"`, "no scheme": `"issuer.example"`,
		"path": `"` + issuerURL + `/id"`, "space": `"` + issuerURL + ` "`, "empty": `""`, "null": `null`, "number": `1`, "list": `["` + issuerURL + `"]`,
	} {
		payload("issuer "+name, with("iss", value), "")
	}
	payload("no issuer", `{"sub":"system:serviceaccount:shop:cart","aud":"sts.amazonaws.com","exp":4102444800,"iat":1}`, "")
	payload("claim ISS instead of iss", strings.Replace(goodClaims, `"iss"`, `"ISS"`, 1), onlyGoOIDC)
	payload("additional claim ISS with another issuer", with("ISS", `"https://other.example"`), accepted) // sorts before iss
	payload("additional claim that encoding/json reads as iss", with("i\u017fs", `"https://other.example"`), "")
	payload("another issuer, and ISS with the issuer", strings.Replace(goodClaims, `"iss":`, `"iss":"https://other.example","ISS":`, 1), onlyGoOIDC)
	payload("two claims iss, the second valid", strings.Replace(goodClaims, `"iss":`, `"iss":"https://other.example","iss":`, 1), onlyGoOIDC)
	payload("two claims iss, the first valid", strings.Replace(goodClaims, `"sub":`, `"iss":"https://other.example","sub":`, 1), "")

	// Other claims.
	for name, text := range map[string]string{"empty": "", "null": "null", "list": "[]", "string": `"x"`, "truncated": goodClaims[:40], "two objects": goodClaims + "{}", "empty object": "{}"} {
		payload(name, text, "")
	}
	payload("white space", " \n"+goodClaims+"\t", accepted)
	payload("list of audiences", with("aud", `["a", "b", "sts.amazonaws.com"]`), accepted)
	payload("another audience", with("aud", `"vault"`), accepted)
	payload("empty list of audiences", with("aud", `[]`), accepted)
	payload("null in list of audiences", with("aud", `[null]`), onlyGoOIDC)
	payload("null as audience", with("aud", `null`), onlyGoOIDC)
	payload("number as audience", with("aud", `1`), "")
	payload("object as audience", with("aud", `{}`), "")
	payload("number in list of audiences", with("aud", `["sts.amazonaws.com", 1]`), "")
	payload("number as subject", with("sub", `1`), "")
	payload("null as subject", with("sub", `null`), onlyGoOIDC)
	payload("expired", with("exp", `1`), accepted)
	payload("not yet valid", with("nbf", `4102444800`), accepted)
	payload("time with fraction", with("iat", `1767312000.5`), accepted)
	payload("time with exponent", with("exp", `4.1e9`), accepted)
	payload("quoted time", with("exp", `"4102444800"`), accepted)
	payload("word as time", with("exp", `"tomorrow"`), "")
	payload("true as time", with("nbf", `true`), "")
	payload("time beyond a float64", with("exp", `1e400`), "")
	payload("quoted time beyond a float64", with("exp", `"1e400"`), onlyIrsakit)
	payload("null as EXP", with("EXP", `null`), onlyIrsakit)
	payload("number beyond a float64", with("x", `1e400`), onlyGoOIDC)
	payload("two claims with one name", strings.Replace(goodClaims, `{`, `{"x":1,"x":2,`, 1), onlyGoOIDC)
	payload("number as nonce", with("nonce", `1`), onlyIrsakit)
	payload("number as at_hash", with("at_hash", `1`), onlyIrsakit)
	payload("distributed claims without source", with("_claim_names", `{"sub":"elsewhere"}`), onlyIrsakit)
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
		assert.True(t, seen[d.reason], "no token has the difference: %s", d.reason)
	}
}

// tokenIn is the placeholder for a signed token in the inputs of the fuzz target.
const tokenIn = "{token}"

// FuzzVerifyAgreesWithGoOIDC compares the verdicts on text after replacing tokenIn by a token
// with the header and claims, signed with the algorithm in the header.
func FuzzVerifyAgreesWithGoOIDC(f *testing.F) {
	i := newIssuer(f)
	v := i.verifiers(f)
	tokens, _ := i.tokens(f)
	for _, token := range tokens {
		f.Add(token, "", "")
		if parts := strings.Split(token, "."); len(parts) == 3 {
			header, _ := base64.RawURLEncoding.DecodeString(parts[0]) // decodes as much as is valid
			claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
			f.Add(tokenIn, string(header), string(claims))
		}
	}
	for _, token := range requestCorpus(f) {
		f.Add(token, goodHeader, goodClaims)
	}
	for _, token := range corpus(f, "../../jwt/testdata/fuzz/FuzzParse") {
		f.Add(token[0], "", "")
	}
	for _, claims := range corpus(f, "../../jwt/testdata/fuzz/FuzzClaims") {
		f.Add(tokenIn, goodHeader, claims[0])
	}
	f.Fuzz(func(t *testing.T, text, header, claims string) {
		v.requireAgreement(t, strings.ReplaceAll(text, tokenIn, i.token(t, header, claims)))
	})
}

// requestCorpus returns the tokens in the corpus of irsatest's FuzzRequest.
func requestCorpus(t testing.TB) []string {
	t.Helper()
	tokens := []string{tokenIn, "a.b.c"} // from the seeds
	for _, input := range corpus(t, "../../../irsa/irsatest/testdata/fuzz/FuzzRequest") {
		require.Len(t, input, 3) // target, body, authorization
		_, query, _ := strings.Cut(input[0], "?")
		for _, text := range []string{query, input[1]} {
			form, _ := url.ParseQuery(text) // contains the valid parts
			tokens = append(tokens, form["WebIdentityToken"]...)
		}
	}
	require.Greater(t, len(tokens), 2, "the corpus has tokens")
	return tokens
}

// argument matches an argument in an input of a corpus.
var argument = regexp.MustCompile(`(?m)^string\((.*)\)$`)

// corpus returns the arguments of each input in the corpus folder of a fuzz target. All
// arguments must be strings.
func corpus(t testing.TB, folder string) [][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var inputs [][]string
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var input []string
		for _, quoted := range argument.FindAllStringSubmatch(string(text), -1) {
			value, err := strconv.Unquote(quoted[1])
			require.NoError(t, err)
			input = append(input, value)
		}
		require.NotEmpty(t, input, file)
		inputs = append(inputs, input)
	}
	return inputs
}
