package oidctest

import (
	"encoding/base64"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
		for line := range strings.Lines(string(text)) {
			if quoted, ok := strings.CutPrefix(strings.TrimSpace(line), "string("); ok {
				argument, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
				require.NoError(t, err)
				input = append(input, argument)
			}
		}
		require.NotEmpty(t, input, file)
		inputs = append(inputs, input)
	}
	return inputs
}
