package oidctest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDiscoveryAgreesWithGoOIDC(t *testing.T) {
	i := newIssuer(t)
	token, ofRSA := i.token(t, goodHeader, goodClaims), i.token(t, `{"alg":"RS256","kid":"rsa"}`, goodClaims)
	document, keys := i.documents[discoveryPath], i.documents[keysPath]
	// beside returns the key set with an additional first key.
	beside := func(key string) string { return strings.Replace(keys, "[", "["+key+", ", 1) }
	// alone returns a key set with one key.
	alone := func(key string) string { return `{"keys": [` + key + `]}` }
	// labeled returns an RSA key with an additional member.
	labeled := func(member string) string { return strings.Replace(i.jwk(t, "rsa", "rsa"), "{", "{"+member+", ", 1) }
	for name, c := range map[string]struct {
		path, text string // the issuer publishes text at path
		token      string
		accepted   bool   // by irsatest
		difference string // why the result of go-oidc differs; "" if it does not
	}{
		"as it should be":               {discoveryPath, document, token, true, ""},
		"another issuer":                {discoveryPath, strings.Replace(document, issuerURL, "https://other.example", 1), token, false, ""},
		"an issuer with a slash":        {discoveryPath, strings.Replace(document, issuerURL, issuerURL+"/", 1), token, false, ""},
		"an issuer in capitals":         {discoveryPath, strings.Replace(document, issuerURL, strings.ToUpper(issuerURL), 1), token, false, ""},
		"no issuer":                     {discoveryPath, strings.Replace(document, `"issuer"`, `"iss"`, 1), token, false, ""},
		"an issuer of a number":         {discoveryPath, strings.Replace(document, `"`+issuerURL+`"`, "1", 1), token, false, ""},
		"no JSON":                       {discoveryPath, "<html>", token, false, ""},
		"null":                          {discoveryPath, "null", token, false, ""},
		"nothing":                       {discoveryPath, "", token, false, ""},
		"more than the document":        {discoveryPath, document + document, token, false, ""},
		"white space":                   {discoveryPath, "\n" + document + "\n", token, true, ""},
		"no URL of keys":                {discoveryPath, `{"issuer": "` + issuerURL + `"}`, token, false, ""},
		"a broken URL of keys":          {discoveryPath, strings.Replace(document, issuerURL+keysPath, ":", 1), token, false, ""},
		"keys that are not there":       {discoveryPath, strings.Replace(document, keysPath, "/other", 1), token, false, ""},
		"no keys":                       {keysPath, `{"keys": []}`, token, false, ""},
		"no set of keys":                {keysPath, `[]`, token, false, ""},
		"more than the keys":            {keysPath, keys + "}", token, false, ""},
		"the key alone":                 {keysPath, alone(i.jwk(t, "p256", "p256")), token, true, ""},
		"the key twice":                 {keysPath, beside(i.jwk(t, "p256", "p256")), token, true, ""},
		"a stranger's key of its ID":    {keysPath, alone(i.jwk(t, "stranger", "p256")), token, false, ""},
		"a stranger's key beside it":    {keysPath, beside(i.jwk(t, "stranger", "p256")), token, true, ""},
		"a key of another type":         {keysPath, alone(i.jwk(t, "rsa", "p256")), token, false, ""},
		"the key of another ID":         {keysPath, alone(i.jwk(t, "p256", "other")), token, false, ""},
		"the key without an ID":         {keysPath, alone(i.jwk(t, "p256", "")), token, false, ""},
		"an unknown type beside it":     {keysPath, beside(`{"kty": "XXX", "kid": "x"}`), token, true, ""},
		"an unknown curve beside it":    {keysPath, beside(`{"kty": "EC", "crv": "secp256k1", "alg": "ES256K", "x": "AA", "y": "AA"}`), token, true, ""},
		"Ed448 beside it":               {keysPath, beside(`{"kty": "OKP", "crv": "Ed448", "x": "AA"}`), token, true, ""},
		"null beside it":                {keysPath, beside(`null`), token, false, ""},
		"a broken key beside it":        {keysPath, beside(`{"kty": "EC", "crv": "P-256"}`), token, false, ""},
		"a number beside it":            {keysPath, beside(`1`), token, false, ""},
		"a secret beside it":            {keysPath, beside(`{"kty": "oct", "kid": "p256", "k": "AAAA"}`), token, true, ""},
		"a key for its algorithm":       {keysPath, alone(labeled(`"alg": "RS256", "use": "sig"`)), ofRSA, true, ""},
		"a key for encryption":          {keysPath, alone(labeled(`"alg": "RSA-OAEP", "use": "enc"`)), ofRSA, false, ""},
		"a key for MACs":                {keysPath, alone(labeled(`"alg": "HS256"`)), ofRSA, false, ""},
		"a key for RS512":               {keysPath, alone(labeled(`"alg": "RS512"`)), ofRSA, true, ""},
		"a key for PS256":               {keysPath, alone(labeled(`"alg": "PS256"`)), ofRSA, false, "the key is for an algorithm that IAM does not support (RFC 7517, section 4.4)"},
		"a broken key for another use":  {keysPath, beside(`{"kty": "EC", "crv": "P-256", "alg": "ES256K"}`), token, false, "go-oidc does not read keys for algorithms that it does not know"},
		"a document of more than a MiB": {discoveryPath, document + strings.Repeat(" ", 1<<20), token, false, "the kit reads a MiB at most"},
		"keys of more than a MiB":       {keysPath, keys + strings.Repeat(" ", 1<<20), token, false, "the kit reads a MiB at most"},
	} {
		t.Run(name, func(t *testing.T) {
			v := i.publishing(c.path, c.text).verifiers(t)
			byIrsakit, ours := v.irsakit(t, c.token)
			byGoOIDC, theirs := v.goOIDC(t, c.token)
			assert.Equal(t, c.accepted, byIrsakit, ours)
			assert.Equal(t, c.accepted == (c.difference == ""), byGoOIDC, theirs)
		})
	}
}

// The issuer in Google's tokens has no scheme. go-oidc makes an exception for it.
func TestAssumeRoleWithWebIdentityHasNoExceptionForGoogle(t *testing.T) {
	i := newIssuer(t)
	const google = "https://accounts.google.com"
	i.url = google
	for path, text := range i.documents {
		i.documents[path] = strings.ReplaceAll(text, issuerURL, google)
	}
	v := i.verifiers(t)
	accepted, answer := v.irsakit(t, i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, google, 1)))
	assert.True(t, accepted, answer)
	token := i.token(t, goodHeader, strings.Replace(goodClaims, issuerURL, "accounts.google.com", 1))
	accepted, answer = v.irsakit(t, token)
	assert.False(t, accepted, answer)
	accepted, answer = v.goOIDC(t, token)
	assert.True(t, accepted, answer)
}
