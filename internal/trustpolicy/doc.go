// Package trustpolicy evaluates the trust policies of IAM roles as AWS STS does,
// and explains the outcome: which statement decided, or what did not match.
//
// The rules are those of the IAM User Guide: "Grammar of the IAM JSON policy
// language", "AWS JSON policy elements: Principal", "IAM JSON policy elements:
// Condition operators", "Creating a condition with multiple keys or values",
// "IAM policy elements: Variables and tags" and "IAM and AWS STS condition
// context keys".
//
// It knows, of the policy language:
//   - Version, Id and Statement; in a statement Sid, Effect, Principal, Action
//     or NotAction, and Condition;
//   - the principals * and AWS, Federated and Service;
//   - the operators String…, Arn…, Numeric…, Bool and Null, with ForAnyValue:,
//     ForAllValues: and IfExists;
//   - wildcards, and policy variables with their default values.
//
// Everything else is an error of Parse, never ignored: Resource and NotPrincipal,
// which IAM does not take in a trust policy either, the operators of dates, IP
// addresses and binary values, and the principal CanonicalUser.
//
// Only the trust policy is judged. For AssumeRole within an organization IAM asks
// for more, such as a permission of the caller.
//
// Where the documents leave a case open, it counts against the request: an Allow
// does not match and a Deny does. Such are an operator for one value that meets
// several, a policy variable without a value, ForAnyValue with IfExists and no key,
// and a value of the request that is not of the operator's type.
package trustpolicy
