package explain

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/irsakit/irsakit/internal/lazyregexp"
)

// remedy returns the setting, command or policy for a placeholder. It returns other words in braces
// unchanged.
func (f Facts) remedy(word string) string {
	switch word {
	case "examplearn":
		return f.exampleARN()
	case "issuerarg":
		return argument(f.Claims.Issuer)
	case "providerarg":
		return argument(f.ProviderARN())
	case "audiencearg":
		return argument(f.audience())
	case "correction":
		return f.correction()
	case "correctarn":
		return f.correctARN()
	case "home":
		return f.home()
	case "deletepod":
		return f.deletePod()
	case "annotate":
		return f.annotate()
	case "getaccount":
		return inParentheses("", f.kubectl("get serviceaccount", f.Claims.ServiceAccount, ""))
	case "encrypted":
		return f.encrypted()
	case "variable":
		return f.variable()
	case "statement":
		return f.statement()
	case "policyarn":
		return inParentheses("", group(policyARN, f.text()))
	case "grant":
		return f.grant(f.action())
	case "grants":
		return f.grant(f.actions())
	case "endpointgrant":
		return f.endpointGrant()
	case "exception":
		return f.exception()
	case "notresource":
		return f.notResource()
	default:
		return "{" + word + "}"
	}
}

// correction returns advice on how to move the role and region into the same partition. The region of
// the EKS cluster determines which of the two is wrong.
func (f Facts) correction() string {
	role, _ := arn.Parse(f.RoleARN)
	region := IssuerRegion(f.Claims.Issuer)
	cluster := partitionOf(region)
	if cluster == role.Partition {
		return "Set " + f.value("regionsetting") + "=" + region
	}
	role.Partition = cmp.Or(cluster, partitionOf(f.Region))
	corrected := "Correct the annotation eks.amazonaws.com/role-arn and recreate the pod, so that it has AWS_ROLE_ARN=" + argument(role.String())
	switch {
	case f.Source != "":
		corrected = "Call AssumeRole with " + argument(role.String())
	case f.OwnRole:
		corrected = "Correct the role ARN that the program sets to " + argument(role.String())
	}
	corrected += ", and check the account ID: each account is in one partition only"
	switch cluster {
	case "":
		return corrected + ". Or set " + f.value("regionsetting") + "=" + f.home()
	case partitionOf(f.Region):
		return corrected
	default:
		return corrected + ". Then set " + f.value("regionsetting") + "=" + region
	}
}

// correctARN returns advice on how to correct a wrong role ARN.
func (f Facts) correctARN() string {
	switch {
	case f.OwnRole:
		return "correct it where the program sets it"
	case f.IsUnbound():
		return "correct AWS_ROLE_ARN"
	}
	return "correct the annotation eks.amazonaws.com/role-arn, or AWS_ROLE_ARN if the pod sets it itself. After any change, recreate the pod" + f.deletePod() + ": a pod keeps the role that it was created with"
}

// home returns the region that was most likely intended: the region that a name refers to, or
// otherwise any region in the role's partition.
func (f Facts) home() string {
	if region := f.namedRegion(); region != "" {
		return region
	}
	for _, p := range partitions {
		if p.name == f.partition() {
			return p.region
		}
	}
	return "us-west-2"
}

// namedRegion returns the region in a zone name, or the region of an EKS cluster in the role's
// partition, or "".
func (f Facts) namedRegion() string {
	if region := ZoneRegion(f.Region); region != "" {
		return region
	}
	if region := IssuerRegion(f.Claims.Issuer); partitionOf(region) == f.partition() {
		return region
	}
	return ""
}

// deletePod returns the command that deletes the pod, in parentheses, or "". The pod is recreated only
// if it has a controller.
func (f Facts) deletePod() string {
	return inParentheses("if it has a controller: ", f.kubectl("delete pod", f.Claims.Pod, ""))
}

// annotate returns the command that corrects the audience, in parentheses, or "".
func (f Facts) annotate() string {
	return inParentheses("", f.kubectl("annotate --overwrite serviceaccount", f.Claims.ServiceAccount, " eks.amazonaws.com/audience="+STSAudience))
}

// inParentheses returns command in parentheses, or "" if it is empty.
func inParentheses(before, command string) string {
	if command == "" {
		return ""
	}
	return " (" + before + command + ")"
}

// encrypted returns the endpoint setting with https://.
func (f Facts) encrypted() string {
	host, ok := strings.CutPrefix(f.Endpoint, "http://")
	if !ok || len(host) > maxQuoted || !plainArgument.MatchString(host) {
		return "an https:// URL"
	}
	return "AWS_ENDPOINT_URL_STS=https://" + host + " (or Options.Endpoint, which has precedence)"
}

var variableName = lazyregexp.New(`^(AWS_\w+)`)

// variable returns the environment variable that the cause begins with.
func (f Facts) variable() string { return group(variableName, f.text()) }

// grant is a statement in a policy other than a trust policy.
type grant struct {
	Effect    string
	Principal any `json:",omitempty"`
	Action    any
	Resource  string
}

// grant returns the statement in the caller's policy that allows actions on the role.
func (f Facts) grant(actions any) string {
	return asJSON(grant{Effect: "Allow", Action: actions, Resource: f.RoleARN})
}

// endpointGrant returns the statement in a VPC endpoint policy that allows the action. A web identity
// has no credentials yet, so only the principal * includes it.
func (f Facts) endpointGrant() string {
	g := grant{Effect: "Allow", Principal: "*", Action: f.action(), Resource: f.RoleARN}
	if f.Source != "" {
		g.Principal = map[string]string{"AWS": f.Source}
	}
	return asJSON(g)
}

// exception returns the condition that exempts the caller from a Deny statement.
func (f Facts) exception() string {
	if f.Source != "" {
		return asJSON(map[string]any{"ArnNotEquals": map[string]string{"aws:PrincipalArn": f.Source}})
	}
	return asJSON(map[string]any{"StringNotEquals": map[string]string{WithoutScheme(f.Claims.Issuer) + ":sub": literal(f.Claims.Subject)}})
}

// notResource returns the element that exempts the role from a Deny statement.
func (f Facts) notResource() string { return asJSON(map[string]string{"NotResource": f.RoleARN}) }

// asJSON returns v, which must contain only strings, as one line of JSON without single quotes, so
// that it can be single-quoted in a shell.
func asJSON(v any) string {
	text, _ := json.Marshal(v) // never fails
	return strings.ReplaceAll(string(text), "'", `\u0027`)
}
