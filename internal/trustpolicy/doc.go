// Package trustpolicy evaluates the trust policies of IAM roles the way AWS STS does, and
// explains the decision by the statement that decided or the parts that did not match.
//
// It follows these sections of the IAM User Guide: "Grammar of the IAM JSON policy
// language", "AWS JSON policy elements: Principal", "IAM JSON policy elements:
// Condition operators", "Creating a condition with multiple keys or values",
// "IAM policy elements: Variables and tags" and "IAM and AWS STS condition
// context keys".
//
// The package supports these parts of the policy language:
//   - Version, Id and Statement, and within a statement Sid, Effect, Principal, Action
//     or NotAction, and Condition;
//   - the principals *, AWS, Federated and Service;
//   - the operators String…, Arn…, Numeric…, Date…, IpAddress, NotIpAddress, Bool and Null,
//     with ForAnyValue:, ForAllValues: and IfExists;
//   - wildcards, and policy variables with default values.
//
// Parse rejects everything else rather than ignoring it. That includes the principal
// CanonicalUser, as well as Resource and NotPrincipal, which IAM does not accept in a trust
// policy either. Unknown operators are accepted unless they resemble a known one.
//
// Only the trust policy is evaluated. For AssumeRole within an organization, IAM has
// further requirements, such as a permission of the caller.
//
// A Decision is Allowed or Denied only if that is certain. Otherwise it is undetermined and
// names the statement, operator and key. The possible reasons are:
//   - the value of the key is known only to AWS, as for aws:SourceIp;
//   - the operator is unknown;
//   - the documentation does not cover the case: a single-value operator with several
//     values in the request, ForAnyValue with IfExists and an absent key, a value in the
//     request that does not have the operator's type, or a web identity as the principal *
//     of an Allow.
//
// A policy variable without a value makes an Allow invalid, so it does not match. For a Deny,
// the result is undetermined.
//
// Review also evaluates the policy for unintended principals, to find statements that
// are too broad.
package trustpolicy
