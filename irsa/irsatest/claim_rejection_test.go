package irsatest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

const tagsClaim = "https://aws.amazon.com/tags"

// claimRejections returns rejections caused by session tags or a source identity in the token.
func claimRejections() map[string]webIdentityRejection {
	many := map[string]any{}
	for n := range 51 {
		many[fmt.Sprintf("key-%d", n)] = "a"
	}
	out := map[string]webIdentityRejection{}
	for name, c := range map[string]struct {
		tags, transitive any
		reason           string
	}{
		"fifty-one tags in the token":                 {tags: many, reason: `'tags' .* less than or equal to 50$`},
		"a tag key of 129 characters":                 {tags: tag(strings.Repeat("k", 129), "a"), reason: `less than or equal to 128$`},
		"a tag value of 257 characters":               {tags: tag("team", strings.Repeat("v", 257)), reason: `less than or equal to 256$`},
		"a tag value that is not allowed":             {tags: tag("team", "<*>"), reason: `'<\*>' at 'tags\.member\.1\.Value' .* pattern`},
		"a tag with two values":                       {tags: tag("team", []string{"a", "b"}), reason: `null at 'tags\.member\.1\.Value'`},
		"a tag key of AWS":                            {tags: tag("AWS:team", "a"), reason: `reserved prefix`},
		"tag keys that differ only in case":           {tags: map[string]any{"team": "a", "Team": "b"}, reason: `^Duplicate tag keys`},
		"a transitive key that is not among the tags": {tags: tag("team", "a"), transitive: []string{"color"}, reason: `transitive tag key`},
	} {
		out[name] = webIdentityRejection{
			setup: func(_ *testing.T, w *world) {
				w.pod.Rotate(irsatest.Claim(tagsClaim, map[string]any{"principal_tags": c.tags, "transitive_tag_keys": c.transitive}))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "ValidationError",
			status:  400,
			message: `^Unable to validate tags$`,
			reason:  c.reason,
		}
	}
	for _, identity := range []any{"a b", "a", strings.Repeat("a", 65), []string{"alice"}} {
		out[fmt.Sprintf("a source identity of %v", identity)] = webIdentityRejection{
			setup: func(_ *testing.T, w *world) {
				w.pod.Rotate(irsatest.Claim("https://aws.amazon.com/source_identity", identity))
			},
			repair:  func(w *world) { w.pod.Rotate() },
			code:    "InvalidIdentityToken",
			status:  400,
			message: `'sourceIdentity' failed to satisfy constraint`,
			as:      new(types.InvalidIdentityTokenException),
		}
	}
	return out
}

func tag(key string, value any) map[string]any { return map[string]any{key: value} }
