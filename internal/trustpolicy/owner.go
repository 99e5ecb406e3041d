package trustpolicy

import (
	"fmt"
	"strings"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// ownerForm matches the beginning of a subject before its owner, such as "repo:" of GitHub's.
var ownerForm = lazyregexp.New(`^[a-z_]*:?$`)

// ownersLike returns tokens that match the patterns in the policy that have a wildcard in place of the
// owner. Issuers such as GitHub's serve everyone.
func (p *Policy) ownersLike(w WebIdentity) (all []stranger) {
	key := w.issuer() + ":sub"
	for _, pattern := range p.allowedValues(key) {
		if first := strings.IndexAny(pattern, "*?"); first < 0 || !ownerForm.MatchString(pattern[:first]) {
			continue
		}
		w.Subject = wild(pattern).filled()
		who := "tokens of " + w.issuer() + " with subjects like " + pattern
		all = append(all, stranger{
			request: w.Request(), who: who, how: fmt.Sprintf("name the owner, such as the organization, in the condition on %q", key),
			within: []string{anyToken + w.issuer(), "service accounts like " + pattern, who},
		})
	}
	return all
}
