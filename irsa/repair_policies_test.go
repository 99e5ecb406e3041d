package irsa_test

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// trustBreakages affect the trust policies of the roles.
func trustBreakages() []breakage {
	trust := func(change func(*site, *trustStatement)) func(*site) {
		return func(s *site) { s.trust(s.first, func(t *trustStatement) { change(s, t) }) }
	}
	subject := func(change func(*site) string) func(*site) {
		return trust(func(s *site, t *trustStatement) { t.Condition["StringEquals"][s.claim("sub")] = change(s) })
	}
	without := func(action string) func(*site) {
		return func(s *site) {
			if s.next != nil {
				s.disallow(s.next, action)
			} else {
				s.disallow(s.first, action)
			}
		}
	}
	return []breakage{
		{kind: "subject", name: "another service account", breaks: subject(func(s *site) string { return s.sa.Subject() + "-" + s.digits(1) })},
		{kind: "subject", name: "another namespace", breaks: subject(func(s *site) string { return "system:serviceaccount:store:" + s.name })},
		{kind: "subject", name: "a wildcard under StringEquals", breaks: subject(func(s *site) string { return "system:serviceaccount:" + s.namespace + ":*" })},
		{kind: "subject", name: "another operator", breaks: trust(func(_ *site, t *trustStatement) {
			t.Condition["StringNotEquals"] = t.Condition["StringEquals"]
			delete(t.Condition, "StringEquals")
		})},
		{kind: "subject", name: "a key with a scheme", breaks: trust(func(s *site, t *trustStatement) {
			t.Condition["StringEquals"] = map[string]string{"https://" + s.claim("sub"): s.sa.Subject()}
		})},
		{kind: "subject", name: "the role has no trust policy", breaks: func(s *site) { s.first = s.role(s.path(), nil...) }},
		{kind: "subject", name: "the annotation was changed, and the pod was not recreated", breaks: func(s *site) {
			old := s.role("old-role")
			s.injected["AWS_ROLE_ARN"] = old.ARN()
		}},
		{kind: "subject", name: "the role does not exist", unknowable: "STS does not report which of the existing roles is meant", breaks: func(s *site) {
			s.annotations[roleAnnotation] += "x"
			s.createPod()
		}},
		{kind: "subject", name: "a statement denies it", unknowable: "STS does not report that a statement of a trust policy denies a token", breaks: func(s *site) {
			s.addStatement(s.first, `{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`)
		}},
		{kind: "audience", name: "the trust policy has another", breaks: trust(func(s *site, t *trustStatement) {
			t.Condition["StringEquals"][s.claim("aud")] = s.pick("vault", "sts.amazonaws.com.cn")
		})},
		{kind: "issuer", name: "the trust policy has that of another cluster", breaks: trust(func(s *site, t *trustStatement) {
			t.Principal["Federated"] = providerARN(s.first, s.kit.NewIssuer())
		})},
		{kind: "tags", name: "the token's are not allowed", application: firstOnly, claimTags: true, breaks: without("sts:TagSession")},
		{kind: "tags", name: "the token's source identity is not allowed", application: firstOnly, claimIdentity: true, breaks: without("sts:SetSourceIdentity")},
		{kind: "tags", name: "those of a role chain are not allowed", application: chainOnly, chainTags: true, breaks: without("sts:TagSession")},
		{kind: "tags", name: "inherited ones are not allowed", application: chainOnly, claimTags: true, transitive: true, breaks: without("sts:TagSession")},
		{kind: "tags", name: "an inherited source identity is not allowed", application: chainOnly, claimIdentity: true, breaks: without("sts:SetSourceIdentity")},
		{kind: "subject", name: "a role chain is not allowed", application: chainOnly, breaks: without("sts:AssumeRole")},
		{kind: "subject", name: "another external ID", application: chainOnly, externalID: true, breaks: func(s *site) { s.chain.ExternalID = aws.String("wrong") }},
		{kind: "subject", name: "a statement denies a role chain", application: chainOnly, breaks: func(s *site) {
			s.next = s.role("audit-2") // in the account of the first role
			s.trust(s.next)
			s.addStatement(s.next, `{"Effect":"Deny","Principal":"*","Action":["sts:AssumeRole","sts:AssumeRoleWithSAML"]}`)
		}},
	}
}

// requestBreakages affect the session parameters.
func requestBreakages() []breakage {
	return []breakage{
		{kind: "tags", name: "those of a role chain are too large", unknowable: "only the application knows which tags it can leave out", application: chainOnly, breaks: func(s *site) {
			for range 10 {
				s.chain.Tags = append(s.chain.Tags, types.Tag{Key: aws.String("k" + s.digits(9)), Value: aws.String(strings.Repeat("v", 256))})
			}
		}},
		{kind: "policy", name: "the session policy is malformed", breaks: func(s *site) {
			s.policy = s.pick(`{"Version":"2012-10-17"}`, `{"Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}`, `s3:GetObject`)
		}},
		{kind: "policy", name: "the duration is too long for the role", breaks: func(s *site) { s.duration = time.Duration(2+s.random.IntN(11)) * time.Hour }},
		{kind: "policy", name: "the duration is too long for any role", breaks: func(s *site) { s.duration = 24 * time.Hour }},
		{kind: "policy", name: "the duration is too long for a role chain", application: chainOnly, breaks: func(s *site) { s.chain.Duration = 2 * time.Hour }},
	}
}

// policyBreakages affect the other types of policies, most of which the kit does not evaluate. AWS
// evaluates all of them for a role chain. For a web identity, it evaluates only the policies of the
// VPC endpoint, the role and resources.
func policyBreakages() []breakage {
	var all []breakage
	for _, policy := range []string{
		"identity-based policy", "permissions boundary", "session policy", "service control policy", "VPC endpoint policy", "resource control policy", "resource-based policy",
	} {
		for _, deny := range []bool{false, true} {
			if policy == "resource control policy" && !deny {
				continue // only RCPFullAWSAccess, which cannot be detached, allows anything
			}
			kind, name := "boundary", "no "+policy+" allows a role chain"
			if strings.HasPrefix(policy, "identity") {
				kind = "policy"
			}
			if deny {
				name = article(policy) + policy + " denies a role chain"
			}
			all = append(all, breakage{kind: kind, name: name, application: chainOnly, breaks: func(s *site) {
				action := s.pick(s.trustRole().Action...)
				s.deny(denial{policy: policy, action: action, explicit: deny, role: s.next, caller: s.first})
			}})
			if hasOwner(policy) || policy == "service control policy" {
				continue
			}
			all = append(all, breakage{kind: kind, name: strings.Replace(name, "role chain", "token", 1), application: firstOnly, breaks: func(s *site) {
				action := s.pick(s.trustToken(s.first).Action...)
				s.deny(denial{policy: policy, action: action, explicit: deny, role: s.first})
			}})
		}
	}
	return all
}

// article returns the article of a type of policy.
func article(policy string) string {
	if strings.HasPrefix(policy, "i") {
		return "an "
	}
	return "a "
}

// path returns the name of the pod's role with its path.
func (s *site) path() string {
	_, path, _ := strings.Cut(s.first.ARN(), ":role/")
	return path
}
