package irsa_test

// chainSetups are role chains whose second role cannot be assumed.
func chainSetups() []setup {
	denied := func(action, ending string) func(*broken) {
		return chainAnswering(403, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/s3-writer/shop.cart is not authorized to perform: "+
			action+" on resource: "+chainedRole+" "+ending)
	}
	return []setup{
		{name: "chain-denied", broken: "neither side allows the chain", breaks: denied("sts:AssumeRole", ""), heading: "role-chain"},
		{name: "chain-tags", broken: "the session tags are not allowed", breaks: denied("sts:TagSession", ""), heading: "role-chain"},
		{name: "chain-source-identity", broken: "the source identity is not allowed", breaks: denied("sts:SetSourceIdentity", "because no identity-based policy allows the sts:SetSourceIdentity action"), heading: "role-chain"},
		{name: "chain-scp", broken: "a service control policy denies the chain", breaks: denied("sts:AssumeRole", "with an explicit deny in a service control policy"), heading: "access-denied"},
		{name: "chain-endpoint-policy", broken: "the VPC endpoint's policy does not allow the chain", breaks: denied("sts:AssumeRole", "because no VPC endpoint policy allows the sts:AssumeRole action"), heading: "role-chain"},
		{name: "chain-session-policy", broken: "the session policy does not allow the chain", breaks: denied("sts:AssumeRole", "because no session policy allows the sts:AssumeRole action"), heading: "role-chain"},
		{name: "chain-boundary", broken: "the permissions boundary does not allow the chain", breaks: denied("sts:AssumeRole", "because no permissions boundary allows the sts:AssumeRole action"), heading: "role-chain"},
		{name: "chain-itself", broken: "the role assumes itself", breaks: func(b *broken) {
			denied("sts:AssumeRole", "")(b)
			b.next = b.role.ARN()
		}, heading: "role-chain"},
		{name: "chain-region", broken: "requests are signed for another region", breaks: chainAnswering(403, "SignatureDoesNotMatch", "Credential should be scoped to a valid region, not 'us-west-2'. "), heading: "endpoint"},
		{name: "chain-clock", broken: "the node's clock is too wrong for signatures", breaks: chainAnswering(403, "SignatureDoesNotMatch", "Signature expired: 20000101T000000Z is now earlier than 20000101T000500Z"), heading: "clock"},
		{name: "chain-signature", broken: "a proxy changes requests", breaks: chainAnswering(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."), heading: "invalid-request"},
		{name: "chain-expired", broken: "STS rejects the credentials of the first role", breaks: chainAnswering(403, "ExpiredToken", "The security token included in the request is expired"), heading: "refused-by-a-service"},
		{name: "chain-packed-tags", broken: "the session tags are too large together", breaks: chainAnswering(400, "PackedPolicyTooLarge", "Packed size of session tags consumes 112% of allotted space."), heading: "session-policy"},
		{name: "chain-source", broken: "the first role cannot be assumed", breaks: func(b *broken) {
			b.next = chainedRole
			b.pod.RemoveToken()
		}, heading: "token-missing", first: "token-path"},
	}
}

const chainedRole = "arn:aws:iam::444455556666:role/audit"
