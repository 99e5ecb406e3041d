package irsatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

// knownConditionKeys returns the AWS condition keys supported by the kit, in lower case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
func knownConditionKeys() []string {
	return []string{
		// sessions
		"sts:rolesessionname", "sts:externalid", "sts:sourceidentity", "sts:transitivetagkeys", "aws:tagkeys",
		// the caller of AssumeRole
		"aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:userid", "aws:sourceidentity", "aws:federatedprovider",
		// every request
		"aws:requestedregion", "aws:securetransport", "aws:principalisawsservice", "aws:viaawsservice", "aws:currenttime", "aws:epochtime",
		// IAM users and requests by AWS services, so always absent
		"aws:multifactorauthpresent", "aws:multifactorauthage", "aws:username",
		"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths",
	}
}

// checkConditions rejects a policy that cannot be evaluated reliably, because it uses an unsupported
// operator or an AWS condition key whose value is unavailable.
func checkConditions(policy *trustpolicy.Policy) error {
	if unknown := policy.UnknownOperators(); len(unknown) > 0 {
		return fmt.Errorf("unsupported operator %s: see TrustPolicy", unknown[0])
	}
	for _, key := range policy.Keys() {
		lower := strings.ToLower(key)
		reserved := strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "sts:") || strings.HasPrefix(lower, "iam:")
		tag := strings.HasPrefix(lower, "aws:requesttag/") || strings.HasPrefix(lower, "aws:principaltag/")
		if reserved && !tag && !slices.Contains(knownConditionKeys(), lower) {
			return fmt.Errorf("unsupported condition key %q: see TrustPolicy", key)
		}
	}
	return nil
}

// requestContext returns the condition keys present in every request.
func (q query) requestContext() map[string][]string {
	return map[string][]string{
		"aws:CurrentTime":           {q.now.UTC().Format(time.RFC3339)},
		"aws:EpochTime":             {strconv.FormatInt(q.now.Unix(), 10)},
		"aws:RequestedRegion":       {q.region},
		"aws:SecureTransport":       {"true"}, // as in AWS, even on loopback
		"aws:PrincipalIsAWSService": {"false"},
		"aws:ViaAWSService":         {"false"},
	}
}

// claimContext returns the condition keys for a web identity token, which begin with its issuer.
func (i identity) claimContext() map[string][]string {
	out := map[string][]string{}
	for _, claim := range trustpolicy.Claims() {
		if found := trustpolicy.Values(i.claims[claim]); found != nil {
			out[withoutScheme(i.text("iss"))+":"+claim] = found
		}
	}
	return out
}
