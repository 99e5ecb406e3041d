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
//   - the operators String…, Arn…, Numeric…, Date…, IpAddress, NotIpAddress, Bool and Null,
//     with ForAnyValue:, ForAllValues: and IfExists;
//   - wildcards, and policy variables with their default values.
//
// Parse rejects everything else, and ignores nothing: Resource and NotPrincipal (IAM
// does not accept them in a trust policy either), and the principal CanonicalUser. It
// accepts operators that it does not know, unless they resemble a known one.
//
// Only the trust policy is evaluated. IAM has further requirements for AssumeRole
// within an organization, such as a permission of the caller.
//
// A Decision is Allowed or Denied only if that is certain. Otherwise it is undetermined, and
// names the statement, the operator and the key. The possible reasons are:
//   - the value of the key is known only to AWS, such as that of aws:SourceIp;
//   - the operator is not known;
//   - the documentation leaves the case open: an operator for a single value with several
//     values in the request, ForAnyValue with IfExists and an absent key, a value in the
//     request that does not have the operator's type, and a web identity as the principal *
//     of an Allow.
//
// A policy variable without a value makes an Allow invalid, so that it does not match. A Deny
// with one is undetermined.
//
// Review also evaluates the policy for unintended principals, to find statements that
// are too broad.
package trustpolicy
