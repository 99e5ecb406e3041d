package trustpolicy

import "strconv"

// Claims of a web identity token that contain a session's tags and source identity.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
const (
	tagsClaim           = "https://aws.amazon.com/tags"
	sourceIdentityClaim = "https://aws.amazon.com/source_identity"
)

// SetClaims sets what the claims of the token add to the session.
func (w *WebIdentity) SetClaims(claims map[string]any) {
	w.Methods = Values(claims["amr"])
	w.SourceIdentity, _ = claims[sourceIdentityClaim].(string)
	nested, _ := claims[tagsClaim].(map[string]any)
	tags, _ := nested["principal_tags"].(map[string]any)
	w.Tags = map[string][]string{}
	for key, value := range tags {
		w.Tags[key] = Values(value)
	}
	w.TransitiveTags = Values(nested["transitive_tag_keys"])
}

// Values returns the values of a claim that is a string, a number, a boolean or a list of them.
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
