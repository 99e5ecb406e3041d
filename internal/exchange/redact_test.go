package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestSecretsRedactRunsOf12Characters(t *testing.T) {
	token, err := tokenfile.Parse(testToken)
	require.NoError(t, err)
	s := secretsOf(&token)
	_, rest, _ := strings.Cut(testToken, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for text, want := range map[string]string{
		"":                                    "",
		"no secret":                           "no secret",
		"a run of 11: " + payload[:11]:        "a run of 11: " + payload[:11],
		"a run of 12: " + payload[5:17] + "!": "a run of 12: [redacted]!",
		testToken:                             "[redacted]",
		"another one: " + strings.Replace(testToken, payload, "eyJzdWIiOiJvdGhlciJ9", 1): "another one: [redacted]",
		signature + " " + payload + " the end":                                           "[redacted] [redacted] the end",
		payload[:20] + payload[40:]:                                                      "[redacted]",
		"twice: " + signature + " " + signature:                                          "twice: [redacted] [redacted]",
		"in pieces: " + strings.Join([]string{payload[:8], payload[8:16]}, " "):          "in pieces: " + payload[:8] + " " + payload[8:16],
	} {
		assert.Equal(t, want, s.redact(text))
	}
	assert.Nil(t, secretsOf(nil))
}

func TestSecretsIdentifierAcceptsOnlyShortNamesWithoutSecrets(t *testing.T) {
	s := secrets{"abcdefghijklmnop"}
	for _, text := range []string{"AccessDenied", "0a1b-2c.3d_4e", strings.Repeat("x", 64)} {
		assert.Equal(t, text, s.identifier(text))
	}
	for _, text := range []string{"", "two words", "<b>", strings.Repeat("x", 65), "x-abcdefghijkl"} {
		assert.Empty(t, s.identifier(text))
	}
}

func TestRedactTokensPreservesErrorKind(t *testing.T) {
	assert.NoError(t, RedactTokens(nil))
	harmless := errors.New("quota exceeded")
	assert.Equal(t, harmless, RedactTokens(harmless))
	for _, text := range []string{testToken, testToken[:20], "Bearer " + strings.ReplaceAll(testToken, ".", ".\n  ")} {
		err := RedactTokens(fmt.Errorf("cannot use %s: %w", text, context.DeadlineExceeded))
		assert.ErrorContains(t, err, "cannot use ")
		assert.ErrorContains(t, err, "[redacted]: context deadline exceeded")
		assert.NotContains(t, err.Error(), "eyJ")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
	for _, header := range []string{`{"alg":"RS256"}`, "{ \"alg\": \"RS256\"}", "{\n  \"alg\": \"RS256\"}", "{\r\n\"alg\":\"RS256\"}", "{\t\"alg\":\"RS256\"}"} {
		token := base64.RawURLEncoding.EncodeToString([]byte(header)) + testToken[strings.Index(testToken, "."):]
		wrapped := token[:30] + "\n" + token[30:60] + "\r\n" + token[60:]
		for _, text := range []string{token, wrapped, fmt.Sprintf("%q", wrapped), strings.ReplaceAll(token, ".", "%2E"), url.QueryEscape(wrapped)} {
			clean := RedactTokens(errors.New("cannot use " + text)).Error()
			assert.Equal(t, "cannot use [redacted]", strings.ReplaceAll(clean, `"`, ""), text)
		}
	}
	long := RedactTokens(errors.New(strings.Repeat("x", maxRedacted+1)))
	assert.Less(t, len(long.Error()), 2<<10)
}

// Kubernetes Secrets contain the base64 encoding of a token, and dumped requests that of their body or
// their user name and password.
func TestRedactTokensFindsBase64EncodingOfToken(t *testing.T) {
	for _, around := range [][2]string{{"", ""}, {"", "\n"}, {"u:", ""}, {"Action=AssumeRoleWithWebIdentity&WebIdentityToken=", "&Version=2011-06-15"}, {"Bearer ", "\r\n"}} {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString([]byte(around[0] + testToken + around[1]))
			start := len(around[0])*4/3 + 4
			wrapped := encoded[:start+60] + "\n" + encoded[start+60:]
			for _, text := range []string{encoded, wrapped, fmt.Sprintf("%q", wrapped), url.QueryEscape(wrapped), encoded[:start+40], "ConsoleUploadServiceProductionRole " + encoded} {
				clean := RedactTokens(errors.New("cannot use " + text + " here")).Error()
				assert.Contains(t, clean, redacted)
				for i := start; i+secretRun <= len(encoded); i++ {
					assert.NotContains(t, clean, encoded[i:i+secretRun], text)
				}
			}
		}
	}
}

func TestRedactTokensKeepsNames(t *testing.T) {
	for _, text := range []string{
		"role/ConsoleUploadServiceProductionRole", "assumed-role/ProfileUpdaterServiceAccountRole/session",
		"/var/run/secrets/fileUploads/serviceaccount/token", "role/FileUploadFunctionRole-1A2B3C4D5E",
		"arn:aws:iam::111122223333:role/ZXlKeyRotationServiceProductionRole", "WV5SAAAAAAAAAAAAAAAAAAAAAAAA",
	} {
		assert.EqualError(t, RedactTokens(errors.New(text)), text)
	}
}

func TestSecretsFoundAtEveryPosition(t *testing.T) {
	const secret = "0123456789abcdefghijklmnopqrstuvwxyz"
	s := secrets{"other", secret}
	for before := range 40 {
		for after := range 40 {
			around := func(run string) string { return strings.Repeat("_", before) + run + strings.Repeat("_", after) }
			assert.True(t, s.occurIn(around(secret[9:21])), "12 characters at %d, %d after them", before, after)
			assert.False(t, s.occurIn(around(secret[9:20])), "11 characters at %d, %d after them", before, after)
		}
	}
}
