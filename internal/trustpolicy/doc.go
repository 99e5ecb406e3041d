// Package trustpolicy evaluates the trust policies of IAM roles as AWS STS does, and
// explains the decision: which statement decided, or what did not match.
//
// The rules are those of the IAM User Guide: "Grammar of the IAM JSON policy
// language", "AWS JSON policy elements: Principal", "IAM JSON policy elements:
// Condition operators", "Creating a condition with multiple keys or values",
// "IAM policy elements: Variables and tags" and "IAM and AWS STS condition
// context keys".
//
// The package supports these parts of the policy language:
//   - Version, Id and Statement; in a statement Sid, Effect, Principal, Action
//     or NotAction, and Condition;
//   - the principals * and AWS, Federated and Service;
//   - the operators String…, Arn…, Numeric…, Bool and Null, with ForAnyValue:,
//     ForAllValues: and IfExists;
//   - wildcards, and policy variables with their default values.
//
// Parse rejects everything else, and ignores nothing: Resource and NotPrincipal (IAM
// does not accept them in a trust policy either), the operators for dates, IP
// addresses and binary values, and the principal CanonicalUser.
//
// Only the trust policy is evaluated. IAM has further requirements for AssumeRole
// within an organization, such as a permission of the caller.
//
// If the documentation leaves a case open, the decision is against the request: an
// Allow does not match, and a Deny does. These cases are an operator for a single
// value with several values in the request, a policy variable without a value,
// ForAnyValue with IfExists and an absent key, and a value in the request that does
// not have the operator's type.
package trustpolicy
