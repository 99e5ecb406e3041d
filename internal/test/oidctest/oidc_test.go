package oidctest

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// comment matches a comment in testdata/tokens.txt.
var comment = regexp.MustCompile(`(?m)^#.*\n`)

// placeholders returns a replacer of the parts in angle brackets in testdata/tokens.txt.
func (i *issuer) placeholders(t testing.TB) *strings.Replacer {
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
	private, err := json.Marshal(jose.JSONWebKey{Key: i.private["unknown"], KeyID: "unknown"})
	require.NoError(t, err)
	unencoded := encode([]byte(`{"alg":"ES256","kid":"p256","crit":["b64"],"b64":false}`))
	return strings.NewReplacer(
		"<header>", good[0], "<claims>", good[1], "<signature>", good[2],
		"<other claims>", other[1], "<signature of other claims>", other[2],
		"<half of claims>", good[1][:len(good[1])/2], "<truncated signature>", good[2][:len(good[2])-1],
		"<unencoded>", unencoded, "<signature of unencoded>", encode(i.sign(t, "ES256", "p256", unencoded+"."+goodClaims)),
		"<signature with one bit flipped>", encode(flipped), "<signature in DER>", encode(asn1),
		"<63 bytes of signature>", encode(signature[:63]), "<signature and a byte>", encode(append(slices.Clone(signature), 0)),
		"<signature twice>", encode(slices.Concat(signature, signature)),
		"<good header>", goodHeader, "<good claims>", goodClaims, "<issuer>", issuerURL, "<all but iss>", otherClaims,
		"<unknown key>", i.jwk(t, "unknown", "unknown"), "<unknown private key>", string(private),
		"<15,000 x>", strings.Repeat("x", 15000), "<20,000 A>", strings.Repeat("A", 20000),
		"<86 A>", strings.Repeat("A", 86), "<86 slashes>", strings.Repeat("/", 86), "<nothing>", "", "<long s>", "\u017f",
		"<SP>", " ", "<TAB>", "\t", "<CR>", "\r", "<LF>", "\n", "<NUL>", "\x00", "<0xFF>", "\xff", "<em space>", "\u2003",
	)
}

type sample struct {
	name, token string
	want        verdict
}

// samples returns the tokens in testdata/tokens.txt.
func (i *issuer) samples(t testing.TB) (all []sample) {
	t.Helper()
	text, err := os.ReadFile("testdata/tokens.txt")
	require.NoError(t, err)
	verdicts := map[string]verdict{"both": both, "neither": neither, "onlyIrsakit": onlyIrsakit, "onlyGoOIDC": onlyGoOIDC}
	replacer := i.placeholders(t)
	for block := range strings.SplitSeq(comment.ReplaceAllString(string(text), ""), "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		words := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			want, known := verdicts[words[len(words)-1]]
			require.True(t, known, lines[0])
			token := replacer.Replace(line)
			require.NotRegexp(t, "[<>]", token)
			switch words[0] {
			case "header":
				token = i.token(t, token, goodClaims)
			case "claims":
				token = i.token(t, goodHeader, merge(t, goodClaims, token))
			case "payload":
				token = i.token(t, goodHeader, token)
			case "signing":
				token = i.signedBy(t, words[1], words[2], token, goodClaims)
			}
			all = append(all, sample{lines[0] + ": " + line, token, want})
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

func TestDiscoveryAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t, issuerURL)
	token, ofRSA := i.token(t, goodHeader, goodClaims), i.token(t, `{"alg":"RS256","kid":"rsa"}`, goodClaims)
	document, keys, rsa := string(i.documents[discoveryPath].Data), string(i.documents[keysPath].Data), i.jwk(t, "rsa", "rsa")
	known, unknown := i.jwk(t, "p256", "p256"), i.jwk(t, "unknown", "p256")
	tooLong := strings.Repeat(" ", 1<<20) // the kit reads at most 1 MiB
	// with returns the document with a part replaced.
	with := func(old, text string) string { return strings.Replace(document, old, text, 1) }
	// only returns a key set with one key, and also returns the key set with an additional first key.
	only := func(key string) string { return `{"keys": [` + key + `]}` }
	also := func(key string) string { return strings.Replace(keys, "[", "["+key+", ", 1) }
	// labeled returns a key set with the RSA key, with additional members.
	labeled := func(members string) string { return only(strings.Replace(rsa, "{", "{"+members+", ", 1)) }
	for _, tt := range []struct {
		path  string // the issuer publishes each of the texts at path
		token string
		texts map[verdict][]string
	}{
		{discoveryPath, token, map[verdict][]string{
			both: {document, "\n" + document + "\n"},
			neither: {
				"", "null", "<html>", document + document, `{"issuer": "` + issuerURL + `"}`,
				with(issuerURL, "https://other.example"), with(issuerURL, issuerURL+"/"), with(issuerURL, strings.ToUpper(issuerURL)),
				with(`"issuer"`, `"iss"`), with(`"`+issuerURL+`"`, "1"), with(issuerURL+"/"+keysPath, ":"), with("/"+keysPath, "/other"),
			},
			onlyGoOIDC: {document + tooLong},
		}},
		{keysPath, token, map[verdict][]string{
			both: {
				only(known), also(known), also(unknown), also(`{"kty": "XXX", "kid": "x"}`), also(`{"kty": "OKP", "crv": "Ed448", "x": "AA"}`),
				also(`{"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "x": "AA", "y": "AA"}`), also(`{"kty": "oct", "kid": "p256", "k": "AAAA"}`),
			},
			neither: {
				only(""), `[]`, keys + "}", only(unknown), only(i.jwk(t, "rsa", "p256")), only(i.jwk(t, "p256", "other")), only(i.jwk(t, "p256", "")),
				also("null"), also("1"), also(`{"kty": "EC", "crv": "P-256"}`),
			},
			// go-oidc does not read keys for algorithms that it does not know.
			onlyGoOIDC: {also(`{"kty": "EC", "crv": "P-256", "alg": "ES256K"}`), keys + tooLong},
		}},
		{keysPath, ofRSA, map[verdict][]string{
			both:    {labeled(`"alg": "RS256", "use": "sig"`), labeled(`"alg": "RS512"`)},
			neither: {labeled(`"alg": "RSA-OAEP", "use": "enc"`), labeled(`"alg": "HS256"`)},
			// The key is for an algorithm that IAM does not support (RFC 7517, section 4.4).
			onlyGoOIDC: {labeled(`"alg": "PS256"`)},
		}},
	} {
		for want, texts := range tt.texts {
			for _, text := range texts {
				got, answers := i.publishing(tt.path, text).verifiers(t).verify(t, tt.token)
				assert.Equal(t, want, got, "%.500q\n%s", text, answers)
			}
		}
	}
}

// The issuer in Google's tokens has no scheme. go-oidc makes an exception for it.
func TestAssumeRoleWithWebIdentityHasNoExceptionForGoogle(t *testing.T) {
	const google = "https://accounts.google.com"
	i := newIssuer(t, google)
	v := i.verifiers(t)
	for name, want := range map[string]verdict{google: both, "accounts.google.com": onlyGoOIDC} {
		got, answers := v.verify(t, i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, name, 1)))
		assert.Equal(t, want, got, answers)
	}
}

func TestIssuerServesAnyOIDCClient(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		for _, algorithm := range []string{"RS256", "ES256"} {
			k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = loopback })
			k.Issuer.SetAlgorithm(algorithm)
			k.Issuer.RotateKeys() // the new key has the algorithm
			sa := k.ServiceAccount("shop", "cart")
			ctx := oidc.ClientContext(t.Context(), k.HTTPClient())
			provider, err := oidc.NewProvider(ctx, k.Issuer.URL())
			require.NoError(t, err)
			verifier := provider.Verifier(&oidc.Config{ClientID: "sts.amazonaws.com", SupportedSigningAlgs: []string{algorithm}})
			verified, err := verifier.Verify(ctx, sa.Token())
			require.NoError(t, err)
			assert.Equal(t, "system:serviceaccount:shop:cart", verified.Subject)
			_, err = verifier.Verify(ctx, sa.Token(irsatest.Invalid("bad signature")))
			require.Error(t, err)
		}
	}
}
