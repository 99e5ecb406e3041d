package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// headers contains headers of tokens that are signed with the algorithm and the key in the header.
var headers = map[verdict][]string{
	both: {
		`{"alg":"RS256","kid":"rsa"}`, `{"alg":"RS384","kid":"rsa"}`, `{"alg":"RS512","kid":"rsa"}`,
		`{"alg":"ES256","kid":"p256"}`, `{"alg":"ES384","kid":"p384"}`, `{"alg":"ES512","kid":"p521"}`,
		`{"alg":"ES256","kid":"p256","typ":"JWT","cty":"JWT","x":[1,{"y":null}]}`,
		`{"ALG":"none","alg":"ES256","kid":"p256"}`,
		`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":true}`,
		`{"alg":"ES256","kid":"p256","crit":[]}`, // go-jose is lenient here
	},
	onlyGoOIDC: {`{"alg":"ES256"}`, `{"alg":"ES256","kid":""}`, `{"alg":"ES256","kid":null}`},
	neither: {
		`{"alg":"PS256","kid":"rsa"}`, `{"alg":"EdDSA","kid":"ed25519"}`, `{"alg":"ES256K","kid":"p256"}`,
		`{"alg":"HS256","kid":"PEM"}`, `{"alg":"HS384","kid":"PEM"}`,
		`{"alg":"none","kid":"p256"}`, `{"alg":"None","kid":"p256"}`, `{"alg":"NONE","kid":"p256"}`,
		`{"alg":"","kid":"p256"}`, `{"alg":"es256","kid":"p256"}`, `{"alg":256,"kid":"p256"}`, `{"kid":"p256"}`,
		`{"alg":"ES256","kid":"P256"}`, `{"alg":"ES256","kid":1}`,
		`{"alg":"ES256","alg":"none","kid":"p256"}`, `{"alg":"ES256","alg":"ES256","kid":"p256"}`,
		`{"alg":"ES256","kid":"unknown","kid":"p256"}`,
		`{"alg":"ES256","kid":"p256","crit":["exp"],"exp":4102444800}`,
		`{"alg":"ES256","kid":"p256","crit":"b64"}`,
		`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`, // signed as if true
		"", "null", `["ES256"]`, `"ES256"`, `{"alg":"ES256"`, goodHeader + goodHeader, "\xff\x00",
	},
}

// claims contains objects whose members are added to the good claims, or replace them.
var claims = map[verdict][]string{
	both: {
		`{}`, `{"aud":["a","b","sts.amazonaws.com"]}`, `{"aud":"vault"}`, `{"aud":[]}`,
		`{"exp":1}`, `{"exp":4.1e9}`, `{"exp":"4102444800"}`, `{"iat":1767312000.5}`, `{"nbf":4102444800}`,
		`{"ISS":"https://other.example"}`, // sorts before iss
		`{"_claim_names":{"sub":"a"},"_claim_sources":{"a":{"endpoint":"https://other.example"}}}`,
	},
	onlyIrsakit: {
		`{"exp":"1e400"}`, `{"EXP":null}`, `{"nonce":1}`, `{"at_hash":1}`, `{"_claim_names":{"sub":"elsewhere"}}`,
	},
	onlyGoOIDC: {`{"aud":[null]}`, `{"aud":null}`, `{"sub":null}`, `{"x":1e400}`, `{"x":"` + strings.Repeat("x", 15000) + `"}`},
	neither: {
		`{"iss":"https://other.example"}`, `{"iss":"` + issuerURL + `/"}`, `{"iss":"HTTPS://issuer.example"}`,
		`{"iss":"issuer.example"}`, `{"iss":"` + issuerURL + `/id"}`, `{"iss":"` + issuerURL + ` "}`,
		`{"iss":""}`, `{"iss":null}`, `{"iss":1}`, `{"iss":["` + issuerURL + `"]}`,
		`{"i` + "\u017f" + `s":"https://other.example"}`, // encoding/json reads the name as iss
		`{"aud":1}`, `{"aud":{}}`, `{"aud":["sts.amazonaws.com",1]}`, `{"sub":1}`,
		`{"exp":"tomorrow"}`, `{"exp":1e400}`, `{"nbf":true}`,
	},
}

// payloads contains whole payloads.
var payloads = map[verdict][]string{
	both: {" \n" + goodClaims + "\t"},
	onlyGoOIDC: {
		`{"ISS":"` + issuerURL + `",` + otherClaims,
		`{"iss":"https://other.example","ISS":"` + issuerURL + `",` + otherClaims,
		`{"iss":"https://other.example","iss":"` + issuerURL + `",` + otherClaims,
		`{"x":1,"x":2,` + goodClaims[1:],
	},
	neither: {
		`{"iss":"` + issuerURL + `","iss":"https://other.example",` + otherClaims, `{` + otherClaims,
		"", "null", "[]", `"x"`, "{}", goodClaims[:40], goodClaims + "{}",
	},
}

// signings contains headers of tokens that are signed with another algorithm or key.
var signings = []struct {
	algorithm, key, header string
	want                   verdict
}{
	{"ES256", "twin", `{"alg":"ES256","kid":"twin"}`, both},
	{"ES256", "other twin", `{"alg":"ES256","kid":"twin"}`, both},
	{"ES256", "p256", `{"alg":"none","kid":"p256"}`, neither},
	{"ES256", "p256", `{"alg":"RS256","kid":"p256"}`, neither},
	{"RS256", "rsa", `{"alg":"RS384","kid":"rsa"}`, neither},
	{"PS256", "rsa", `{"alg":"RS256","kid":"rsa"}`, neither},
	{"ES384", "p256", `{"alg":"ES384","kid":"p256"}`, neither},
	{"ES256", "p384", `{"alg":"ES256","kid":"p384"}`, neither},
	{"ES256", "unknown", goodHeader, neither},
	{"ES256", "unknown", `{"alg":"ES256"}`, neither},
	{"ES256", "p256", `{"alg":"ES256","kid":"unknown"}`, neither},
	{"ES256", "p256", `{"alg":"ES256","kid":"twin"}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"unknown","jku":"https://other.example/keys"}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"unknown","x5c":["AAAA"]}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"unknown","x5u":"https://other.example/"}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"p256","jwk":{}}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","jwk":UNKNOWN}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"unknown","jwk":UNKNOWN}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"p256","jwk":UNKNOWN}`, neither},
	{"ES256", "unknown", `{"alg":"ES256","kid":"p256","jwk":PRIVATE}`, neither},
	{"ES256", "p256", `{"alg":"ES256","kid":"p256","jwk":UNKNOWN}`, both},
}

// serializations contains tokens with parts in angle brackets.
var serializations = map[verdict][]string{
	both: {
		"<header>.<claims>.<signature>\r\n", // the base64 decoder ignores line breaks
		"<unencoded>.<claims>.<signature of unencoded>",
	},
	onlyGoOIDC: {
		" <header>.<claims>.<signature>", "<header>.<claims>.<signature> ", "<header>.<claims>.<signature>\u2003",
		"<header>\t.<claims>.<signature>", "<header> . <claims>.<signature>",
		`{"payload":"<claims>","protected":"<header>","signature":"<signature>"}`,
		`{"payload":"<claims>","signatures":[{"protected":"<header>","signature":"<signature>"}]}`,
	},
	neither: {
		`{"payload":"<claims>","signatures":[{"protected":"<header>","signature":"<signature>"},{"protected":"<header>","signature":"<signature>"}]}`,
		"", "token", "..", "...", "<header>", "<header>.<claims>", "<header>.<claims>.", "<header>..<signature>",
		".<header>.<claims>.<signature>", "<header>.<claims>.<signature>.", "<header>..<claims>.<signature>",
		"<header>.<claims>.<signature>.a.b", "<header>.<claims>.<signature>.<header>.<claims>.<signature>",
		"<header>=.<claims>.<signature>", "<header>.<claims>=.<signature>", "<header>.<claims>.<signature>==",
		"<header>.<claims>.<signature>\x00", "<header>.<claims>.<signature>%20", "<header>.<claims>.<signature>\xff",
		"Bearer<header>.<claims>.<signature>", "<header>.<claims>.<truncated signature>", "<header>.<half of claims>",
		"<header>.<other claims>.<signature>", "<header>.<claims>.<signature of other claims>",
		"<header>.<claims>.<signature with one bit flipped>", "<header>.<claims>.<signature in DER>",
		"<header>.<claims>.<63 bytes of signature>", "<header>.<claims>.<signature and a byte>",
		"<header>.<claims>.<signature twice>", "<header>.<claims>." + strings.Repeat("A", 86),
		"<header>.<claims>." + strings.Repeat("A", 20000), "<header>.<claims>." + strings.Repeat("/", 86),
	},
}

// parts returns a replacer of the parts in serializations.
func (i *issuer) parts(t testing.TB) *strings.Replacer {
	t.Helper()
	good := strings.Split(i.token(t, goodHeader, goodClaims), ".")
	other := strings.Split(i.token(t, goodHeader, strings.Replace(goodClaims, "cart", "other", 1)), ".")
	signature, err := base64.RawURLEncoding.DecodeString(good[2])
	require.NoError(t, err)
	flipped := slices.Clone(signature)
	flipped[10] ^= 1
	sum := sha256.Sum256([]byte(good[0] + "." + good[1]))
	asn1, err := i.private["p256"].Sign(rand.Reader, sum[:], crypto.SHA256)
	require.NoError(t, err)
	unencoded := encode([]byte(`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`))
	return strings.NewReplacer(
		"<header>", good[0], "<claims>", good[1], "<signature>", good[2],
		"<other claims>", other[1], "<signature of other claims>", other[2],
		"<half of claims>", good[1][:len(good[1])/2], "<truncated signature>", good[2][:len(good[2])-1],
		"<unencoded>", unencoded, "<signature of unencoded>", encode(i.sign(t, "ES256", "p256", []byte(unencoded+"."+goodClaims))),
		"<signature with one bit flipped>", encode(flipped), "<signature in DER>", encode(asn1),
		"<63 bytes of signature>", encode(signature[:63]), "<signature and a byte>", encode(append(slices.Clone(signature), 0)),
		"<signature twice>", encode(slices.Concat(signature, signature)),
	)
}

// A sample is a token and the expected verdict.
type sample struct {
	name, token string
	want        verdict
}

func (i *issuer) samples(t testing.TB) (all []sample) {
	t.Helper()
	add := func(kind string, texts map[verdict][]string, token func(text string) string) {
		for want, list := range texts {
			for _, text := range list {
				all = append(all, sample{fmt.Sprintf("%s: %.150s", kind, text), token(text), want})
			}
		}
	}
	add("header", headers, func(header string) string { return i.token(t, header, goodClaims) })
	add("claims", claims, func(changes string) string { return i.token(t, goodHeader, merge(t, goodClaims, changes)) })
	add("payload", payloads, func(payload string) string { return i.token(t, goodHeader, payload) })
	add("serialization", serializations, i.parts(t).Replace)
	private, err := json.Marshal(jose.JSONWebKey{Key: i.private["unknown"], KeyID: "unknown"})
	require.NoError(t, err)
	keys := strings.NewReplacer("UNKNOWN", i.jwk(t, "unknown", "unknown"), "PRIVATE", string(private))
	for _, s := range signings {
		token := i.signedBy(t, s.algorithm, s.key, keys.Replace(s.header), goodClaims)
		all = append(all, sample{s.algorithm + " with key " + s.key + ", header " + s.header, token, s.want})
	}
	for secret := range i.secrets {
		for _, algorithm := range []string{"HS256", "RS256"} {
			token := i.signedBy(t, "HS256", secret, `{"alg":"`+algorithm+`","kid":"rsa"}`, goodClaims)
			all = append(all, sample{algorithm + " header, MAC with public key as secret: " + secret, token, neither})
		}
	}
	return all
}

// merge returns an object with the members of the changes added or replaced.
func merge(t testing.TB, object, changes string) string {
	t.Helper()
	members := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(object), &members))
	require.NoError(t, json.Unmarshal([]byte(changes), &members))
	text, err := json.Marshal(members)
	require.NoError(t, err)
	return string(text)
}

func TestAssumeRoleWithWebIdentityAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t, issuerURL)
	v := i.verifiers(t)
	seen := map[string]bool{}
	for _, s := range i.samples(t) {
		t.Run(s.name, func(t *testing.T) {
			got, reason := v.requireAgreement(t, s.token)
			assert.Equal(t, s.want, got)
			seen[reason] = true
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
	i := newIssuer(f, issuerURL)
	v := i.verifiers(f)
	for _, s := range i.samples(f) {
		f.Add(s.token, "", "")
		if parts := strings.Split(s.token, "."); len(parts) == 3 {
			header, _ := base64.RawURLEncoding.DecodeString(parts[0]) // decodes as much as is valid
			f.Add(tokenIn, string(header), string(parse(s.token).payload))
		}
	}
	for _, token := range corpus(f, "FuzzParse") {
		f.Add(token, "", "")
	}
	for _, claims := range corpus(f, "FuzzClaims") {
		f.Add(tokenIn, goodHeader, claims)
	}
	f.Fuzz(func(t *testing.T, text, header, claims string) {
		v.requireAgreement(t, strings.ReplaceAll(text, tokenIn, i.token(t, header, claims)))
	})
}

// corpus returns the inputs in the corpus of a fuzz target of package jwt, whose only argument is a string.
func corpus(t testing.TB, target string) (inputs []string) {
	t.Helper()
	files, err := filepath.Glob("../../jwt/testdata/fuzz/" + target + "/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		quoted := strings.TrimPrefix(strings.TrimSpace(string(text)), "go test fuzz v1\nstring(")
		input, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
		require.NoError(t, err, file)
		inputs = append(inputs, input)
	}
	return inputs
}
