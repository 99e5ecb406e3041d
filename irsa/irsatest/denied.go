package irsatest

import (
	"regexp"
	"slices"
	"strings"
)

// Denied returns a Fault like [AccessDenied] whose message also names the action and the type of
// policy that denies it, as AWS's messages do. The action is "sts:AssumeRole", "sts:TagSession",
// "sts:SetSourceIdentity" or "sts:AssumeRoleWithWebIdentity". The policy is in AWS's words:
//
//   - "no session policy" for the ending "because no session policy allows the sts:AssumeRole
//     action", and so on for an "identity-based policy", "resource-based policy", "service
//     control policy", "resource control policy", "VPC endpoint policy", "permissions boundary"
//     and "role trust policy";
//   - "an explicit deny in a service control policy" for the ending "with an explicit deny in a
//     service control policy", and so on, except for "an explicit deny in the role trust
//     policy". As in AWS, a colon and the ARN of the policy may follow;
//   - "" for a message without an ending, as in most public reports about roles in another account.
//
// Any other action or policy ends the test when the fault is injected. In AWS, only VPC endpoint
// policies, role trust policies and resource control policies apply to AssumeRoleWithWebIdentity.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func Denied(action, policy string) Fault {
	ending := ""
	switch {
	case strings.HasPrefix(policy, "no "):
		ending = " because " + policy + " allows the " + action + " action"
	case policy != "":
		ending = " with " + policy
	}
	return AccessDenied + Fault(" "+action+ending)
}

var (
	deniedForm = regexp.MustCompile(`^AccessDenied (sts:\w+)( because no (.+) allows the (sts:\w+) action| with an explicit deny in (?:an?|the) (.+?)(?:: arn:\S+)?)?$`)

	deniedActions = []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity", "sts:AssumeRoleWithWebIdentity"}

	policyTypes = []string{
		"identity-based policy", "resource-based policy", "service control policy", "resource control policy", "session policy",
		"VPC endpoint policy", "permissions boundary", "role trust policy",
	}
)

// explicitTrustDeny ends the message if a statement in the trust policy denies the action to a caller
// in the role's account. For roles in another account, the messages in public reports have no such
// ending.
const explicitTrustDeny = " with an explicit deny in the role trust policy"

// denied returns the action and ending of a fault created by Denied.
func (f Fault) denied() (action, ending string, ok bool) {
	parts := deniedForm.FindStringSubmatch(string(f))
	if parts == nil || !slices.Contains(deniedActions, parts[1]) || parts[4] != "" && parts[4] != parts[1] {
		return "", "", false
	}
	if kind := parts[3] + parts[5]; parts[2] != "" && !slices.Contains(policyTypes, kind) {
		return "", "", false
	}
	return parts[1], parts[2], true
}

// deniedRejection returns the rejection for a fault created by Denied. For AssumeRole, the caller is
// the session that signed the request.
func (q query) deniedRejection(action, ending string) *rejection {
	r := notAuthorizedWebIdentity(action)
	if q.action == assumeRole {
		r = notAuthorized(q.cluster.callerARN(q), action, q.form.Get("RoleArn"))
	}
	r.message += ending
	return r
}

// callerARN returns the ARN of the session that signed the request, without verifying the signature.
// For an unknown session, it returns the account's ARN.
func (k *Cluster) callerARN(q query) string {
	if found, rejected := readSignature(q.request); rejected == nil {
		if caller := k.STS.session(found.accessKeyID); caller != nil {
			return caller.user().ARN
		}
	}
	return "arn:" + partition(k.region) + ":iam::" + k.accountID + ":root"
}
