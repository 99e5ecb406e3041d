package trustpolicy

import (
	"slices"
	"strings"
)

// WebIdentity contains what a token and the AssumeRoleWithWebIdentity parameters add to the request
// context.
type WebIdentity struct {
	Provider       string   // the ARN of the OIDC provider in IAM
	Issuer         string   // the iss claim, with or without scheme
	Subject        string   // the sub claim; absent if empty
	Audiences      []string // the aud claim
	Methods        []string // the amr claim; not set by Kubernetes
	SessionName    string
	SourceIdentity string              // from a claim of the token; absent if empty
	Tags           map[string][]string // from a claim of the token
	TransitiveTags []string            // keys of the tags that are passed on in role chains
}

// Request returns the request for which STS evaluates a trust policy. Its context contains the keys
// that AWS documents for AssumeRoleWithWebIdentity. Because the request is unsigned, it has no keys
// for the caller. Keys for the network, the time and the endpoint are unknown.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func (w WebIdentity) Request() Request {
	issuer := w.issuer()
	keys := map[string][]string{
		issuer + ":aud":         w.Audiences,
		issuer + ":amr":         w.Methods,
		"aws:FederatedProvider": {w.Provider},
		"sts:RoleSessionName":   {w.SessionName},
		"sts:TransitiveTagKeys": w.TransitiveTags,
		issuer + ":sub":         optional(w.Subject),
		"sts:SourceIdentity":    optional(w.SourceIdentity),
	}
	for key, values := range w.Tags {
		keys["aws:RequestTag/"+key] = values
		keys["aws:TagKeys"] = append(keys["aws:TagKeys"], key)
	}
	slices.Sort(keys["aws:TagKeys"])
	for key, values := range keys {
		if len(values) == 0 {
			delete(keys, key)
		}
	}
	return Request{Action: actionWebIdentity, Principal: Principal{Federated: w.Provider}, Context: keys, Unknown: unknownToUnsigned}
}

// issuer returns the issuer without its scheme, which is the prefix of its condition keys.
func (w WebIdentity) issuer() string {
	if _, rest, ok := strings.Cut(w.Issuer, "://"); ok {
		return rest
	}
	return w.Issuer
}

const (
	actionWebIdentity = "sts:AssumeRoleWithWebIdentity"
	actionAssumeRole  = "sts:AssumeRole"
)

func optional(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// unknownToUnsigned reports whether, in an unsigned request to STS, the key may have a value known
// only to AWS. Session tags and parameters are part of the request. key must be in lower case.
func unknownToUnsigned(key string) bool {
	return reserved(key) && !absentFromUnsigned(key) && !hasPrefix(key,
		"aws:requesttag/", "aws:tagkeys", "sts:transitivetagkeys", "sts:sourceidentity", "sts:rolesessionname")
}

// absentFromUnsigned reports whether AWS defines the key only for signed requests. key must be in
// lower case.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
func absentFromUnsigned(key string) bool {
	return hasPrefix(key,
		// the caller: "Anonymous requests do not include this key"
		"aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:principaltag/", "aws:username",
		"aws:multifactorauthpresent", "aws:multifactorauthage", "aws:tokenissuetime", "aws:sourceidentity",
		// the caller's EC2 instance and requests by AWS services
		"aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4", "ec2:", "aws:calledvia",
		"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths",
		// a parameter of AssumeRole only
		"sts:externalid")
}

func hasPrefix(key string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// reserved reports whether AWS defines key for requests to STS. key must be in lower case.
func reserved(key string) bool {
	return strings.HasPrefix(key, "aws:") || strings.HasPrefix(key, "sts:") || strings.HasPrefix(key, "iam:")
}
