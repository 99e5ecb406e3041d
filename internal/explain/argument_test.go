package explain

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/irsakit/irsakit/tokenfile"
)

// The placeholders, grouped by the kind of text that contains their values.
var (
	argumentWords = []string{"rolename", "issuerarg", "providerarg", "audiencearg", "home", "variable", "seconds"}
	commandWords  = []string{"deletepod", "annotate", "getaccount", "newtoken", "ststoken", "encrypted", "correction", "correctarn"}
	policyWords   = []string{"statement", "grant", "grants", "endpointgrant", "exception", "notresource"}
	proseWords    = []string{
		"role", "rolepartition", "account", "inactive", "endpointservice", "regionsetting", "signer", "action", "inherited", "policyarn", "region", "partition", "host", "url", "issuer", "discovery", "tokenaudience", "algorithm",
		"issued", "expiry", "missing", "access", "examplearn", "stshost", "tokenfile", "otherfile", "duration",
	}
)

// hostile contains texts that a shell or command would interpret as more than a plain value.
var hostile = []string{
	"--all", "-x", "~root", "--endpoint-url=https://evil.example/", "$(id)", "`id`", "a\nid", `a"b`, "a'b", "a;id", "a b", "a --all", "a|b", "a&b",
	"a>b", "a<b", "a*", "a?", "{a,b}", "!a", `a\b`, "${HOME}", "file:///etc/passwd", "http://evil.example", "",
}

// plainFacts returns facts for which each remedy contains a command.
func plainFacts() Facts {
	return Facts{
		RoleARN: testRole, Region: "us-west-2", Endpoint: "http://sts.example", TokenFile: "/token", Err: errors.New("AWS_USE_FIPS_ENDPOINT is 1"),
		Claims: tokenfile.Claims{
			Issuer: "https://oidc.example.com", Subject: "system:serviceaccount:shop:cart", Audience: []string{STSAudience},
			Namespace: "shop", ServiceAccount: "cart", Pod: "cart-1",
		},
	}
}

// hostileFacts returns facts that contain text, each in a different field.
func hostileFacts(text string) []Facts {
	var all []Facts
	for _, set := range []func(*Facts){
		func(f *Facts) { f.Claims.Issuer = text },
		func(f *Facts) { f.Claims.Issuer = "https://" + text },
		func(f *Facts) { f.Claims.Issuer = "https://oidc.eks." + text + ".amazonaws.com/id/A" },
		func(f *Facts) { f.Claims.Subject = text },
		func(f *Facts) { f.Claims.Audience = []string{text} },
		func(f *Facts) { f.Claims.Audience = []string{text, text} },
		func(f *Facts) { f.Claims.Pod = text },
		func(f *Facts) { f.Claims.Namespace = text },
		func(f *Facts) { f.Claims.ServiceAccount = text },
		func(f *Facts) { f.RoleARN = text },
		func(f *Facts) { f.RoleARN = "arn:aws-cn:iam::111122223333:role/" + text },
		func(f *Facts) { f.Source = text },
		func(f *Facts) { f.Source, f.ExternalID = testSource, text },
		func(f *Facts) { f.Region = text },
		func(f *Facts) { f.Region = text + "-west-2a" },
		func(f *Facts) { f.Endpoint = text },
		func(f *Facts) { f.Endpoint = "http://" + text },
		func(f *Facts) { f.Err = errors.New(text) },
		func(f *Facts) { f.Err = errors.New("AWS_X" + text) },
	} {
		f := plainFacts()
		set(&f)
		all = append(all, f)
	}
	return all
}

func TestRemedyContainsOnlyPlainArguments(t *testing.T) {
	plain := regexp.MustCompile(`^(?:\.\.\.|[A-Za-z0-9/][A-Za-z0-9._/:=+@-]*)?$`)
	for _, text := range hostile {
		for _, f := range hostileFacts(text) {
			for _, word := range argumentWords {
				value := f.value(word)
				assert.Regexp(t, plain, value, "%s of %q", word, text)
				assert.NotRegexp(t, `^(?:file|http)://`, value, "%s of %q", word, text)
			}
			for _, word := range commandWords {
				for _, field := range strings.Split(f.value(word), " ") {
					if field = strings.Trim(field, "(),;:"); !slices.Contains([]string{"--overwrite", "--namespace", "--audience"}, field) {
						assert.Regexp(t, plain, field, "%s of %q", word, text)
					}
				}
			}
			for _, word := range policyWords {
				value := f.value(word)
				assert.True(t, json.Valid([]byte(value)), "%s of %q", word, text)
				assert.NotRegexp(t, `['\n]`, value, "%s of %q", word, text)
			}
		}
	}
}

func TestRemedyEscapesPolicyVariables(t *testing.T) {
	const variable, want = "${oidc.example.com:sub}", `"${$}{oidc.example.com:sub}"`
	f := plainFacts()
	f.Claims.Subject, f.Claims.Audience = variable, []string{variable}
	assert.Contains(t, f.value("statement"), `"oidc.example.com:sub":`+want)
	assert.Contains(t, f.value("statement"), `"oidc.example.com:aud":`+want)
	assert.Contains(t, f.value("exception"), `"oidc.example.com:sub":`+want)
	f.Claims.Audience = []string{variable, "vault"}
	assert.Contains(t, f.value("statement"), `"oidc.example.com:aud":`+want)
	f.Source, f.ExternalID = testSource, variable
	assert.Contains(t, f.value("statement"), `"sts:ExternalId":`+want)
}

func TestRemedyNamesOnlyValidObjects(t *testing.T) {
	f := plainFacts()
	assert.Equal(t, " (if it has a controller: kubectl delete pod cart-1 --namespace shop)", f.value("deletepod"))
	assert.Equal(t, " (kubectl annotate --overwrite serviceaccount cart eks.amazonaws.com/audience=sts.amazonaws.com --namespace shop)", f.value("annotate"))
	for _, name := range append([]string{"Cart", "cart_1", "cart-", ".cart", "pods/cart", strings.Repeat("a", 254)}, hostile...) {
		pod, namespace := f, f
		pod.Claims.Pod, pod.Claims.ServiceAccount, namespace.Claims.Namespace = name, name, name
		for _, word := range []string{"deletepod", "annotate", "getaccount"} {
			assert.Empty(t, pod.value(word), name)
			assert.Empty(t, namespace.value(word), name)
		}
		for _, f := range []Facts{pod, namespace} {
			f.Claims.Pod = ""
			assert.NotContains(t, f.value("newtoken"), "kubectl", name)
		}
	}
	f.Claims.Pod = ""
	assert.Equal(t, "write a new token into the file (kubectl create token cart --audience sts.amazonaws.com --namespace shop)", f.value("newtoken"))
	f.Claims.Pod, f.TokenFile = "cart-1", ""
	assert.Empty(t, f.value("deletepod"), "the token of another program")
	assert.Empty(t, f.value("annotate"), "the token of another program")
}

// TestRuleCommandsContainOnlyArguments checks that commands and variables in a rule contain only
// placeholders whose values are plain arguments.
func TestRuleCommandsContainOnlyArguments(t *testing.T) {
	all := slices.Concat(argumentWords, commandWords, policyWords, proseWords)
	command, word := regexp.MustCompile(`\b(?:aws|kubectl) [^,;:]*|AWS_\w+=\S*`), regexp.MustCompile(`\{(\w+)\}`)
	for _, table := range append(rules(), settingRules) {
		for _, r := range table {
			for _, match := range word.FindAllStringSubmatch(r.fix+r.text, -1) {
				assert.Contains(t, all, match[1])
			}
			for _, text := range command.FindAllString(r.text, -1) {
				for _, match := range word.FindAllStringSubmatch(text, -1) {
					assert.Contains(t, argumentWords, match[1], text)
				}
			}
		}
	}
}
