package trustpolicy

import (
	"slices"
	"strconv"
	"strings"
)

// Token claims that contain a session's tags and source identity. An issuer can also write each
// member of the tags claim as a separate claim, such as
// https://aws.amazon.com/tags/principal_tags/team.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	SourceIdentityClaim = "https://aws.amazon.com/source_identity"

	actionTags     = "sts:TagSession"
	actionIdentity = "sts:SetSourceIdentity"
)

// SetClaims sets the methods, tags and source identity from the token's claims.
func (w *WebIdentity) SetClaims(claims map[string]any) {
	w.Methods = Values(claims["amr"])
	w.SourceIdentity, _ = claims[SourceIdentityClaim].(string)
	nested, _ := claims[tagsClaim].(map[string]any)
	tags, _ := nested["principal_tags"].(map[string]any)
	w.Tags = map[string][]string{}
	for key, value := range tags {
		w.Tags[key] = Values(value)
	}
	for name, value := range claims {
		if key, ok := strings.CutPrefix(name, tagsClaim+"/principal_tags/"); ok {
			w.Tags[key] = Values(value)
		}
	}
	w.TransitiveTags = slices.Concat(Values(nested["transitive_tag_keys"]), Values(claims[tagsClaim+"/transitive_tag_keys"]))
}

// furtherActions returns the additional actions that the request needs for its session tags and
// source identity.
func (w WebIdentity) furtherActions() (all []string) {
	if len(w.Tags) > 0 {
		all = append(all, actionTags)
	}
	if w.SourceIdentity != "" {
		all = append(all, actionIdentity)
	}
	return all
}

// Values returns the values of a claim that is a string, a number, a boolean, or a list of these.
func Values(claim any) []string {
	switch c := claim.(type) {
	case string:
		return []string{c}
	case bool:
		return []string{strconv.FormatBool(c)}
	case float64:
		return []string{strconv.FormatFloat(c, 'f', -1, 64)}
	case []any:
		var out []string
		for _, element := range c {
			out = append(out, Values(element)...)
		}
		return out
	}
	return nil
}
