package irsa_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

func setups() []setup {
	fault := func(f irsatest.Fault) func(*broken) { return func(b *broken) { b.STS.Fail(f, -1) } }
	option := func(change func(*irsa.Options)) func(*broken) { return func(b *broken) { b.set(change) } }
	rotate := func(o func(*irsatest.TokenOptions)) func(*broken) { return func(b *broken) { b.pod.Rotate(o) } }
	environ := func(variables ...string) func(*broken) { return func(b *broken) { b.env(variables...) } }
	return []setup{
		{name: "not-injected", broken: "the webhook did not change the pod", breaks: func(b *broken) { b.without(injectedRole, injectedToken) },
			heading: "not-injected", first: "environment"},
		{name: "pod-identity", broken: "the pod has EKS Pod Identity instead", breaks: func(b *broken) {
			b.without(injectedRole, injectedToken)
			b.env("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials")
		}, heading: "pod-identity", first: "environment"},
		{name: "role-only", broken: "the container presets the role, so that the webhook injects nothing", breaks: func(b *broken) { b.without(injectedToken) },
			heading: "half-injected", first: "environment"},
		{name: "token-only", broken: "the container presets the token file, so that the webhook injects nothing", breaks: func(b *broken) { b.without(injectedRole) },
			heading: "half-injected", first: "environment"},
		{name: "static-keys", broken: "static keys, a profile and Pod Identity are also configured", breaks: environ(
			"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_PROFILE=dev",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/credentials"), warned: "other-credentials"},
		{name: "sidecar", broken: "the container also has the variables of a sidecar with credentials", breaks: environ(
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9910/credentials"), warned: "other-credentials"},
		{name: "role-name", broken: "the annotation contains the role's name", breaks: environ(injectedRole + "=s3-writer"), heading: "role-arn", first: "role"},
		{name: "role-account", broken: "the account ID has 11 digits", breaks: environ(injectedRole + "=arn:aws:iam::11112222333:role/s3-writer"),
			heading: "role-arn", first: "role"},
		{name: "role-partition", broken: "the role is in China and the pod is not", breaks: environ(injectedRole + "=arn:aws-cn:iam::111122223333:role/s3-writer"),
			heading: "role-arn", first: "role"},
		{name: "session-name", broken: "the session's name has a space", breaks: environ("AWS_ROLE_SESSION_NAME=the cart"), heading: "settings", first: "settings"},
		{name: "duration-and-region", broken: "the duration is too short, and the region misspelled", breaks: option(func(o *irsa.Options) {
			o.Duration, o.Region = time.Minute, "us_west_2"
		}), heading: "session-duration", first: "settings"},
		{name: "policy-too-long", broken: "the session policy is too long", breaks: option(func(o *irsa.Options) { o.Policy = strings.Repeat(" ", 3000) }),
			heading: "session-policy", first: "settings"},
		{name: "relative-path", broken: "the path of the token is relative", breaks: environ(injectedToken + "=secrets/token"), heading: "settings", first: "settings"},
		{name: "switch", broken: "AWS_USE_FIPS_ENDPOINT is neither true nor false", breaks: environ("AWS_USE_FIPS_ENDPOINT=yes"), heading: "settings", first: "settings"},
		{name: "endpoint", broken: "the endpoint is a host name", breaks: environ("AWS_ENDPOINT_URL_STS=sts.us-west-2.amazonaws.com"), heading: "endpoint", first: "endpoint"},
		{name: "endpoint-cleartext", broken: "the endpoint is not encrypted", breaks: environ("AWS_ENDPOINT_URL_STS=http://sts.corp.example"), heading: "endpoint", first: "endpoint"},
		{name: "endpoint-region", broken: "the endpoint is in another region", breaks: environ("AWS_ENDPOINT_URL_STS=https://sts.eu-west-1.amazonaws.com"), first: "endpoint"},
		{name: "endpoint-global", broken: "the endpoint is the global one", breaks: environ("AWS_ENDPOINT_URL_STS=https://sts.amazonaws.com"), first: "endpoint"},
		{name: "endpoint-of-all-services", broken: "AWS_ENDPOINT_URL names a store, and the legacy endpoint is requested",
			breaks: environ("AWS_ENDPOINT_URL=http://minio:9000", "AWS_STS_REGIONAL_ENDPOINTS=legacy", "AWS_ENDPOINT_URL_STS="), warned: "endpoint"},
		{name: "ca-bundle", broken: "the file in AWS_CA_BUNDLE does not exist", breaks: environ("AWS_CA_BUNDLE=/etc/none.pem"), heading: "tls", first: "settings"},
		{name: "no-region", broken: "no region is set", breaks: func(b *broken) {
			b.without("AWS_REGION", "AWS_DEFAULT_REGION")
			b.pod.Rotate(irsatest.Claim("iss", "https://oidc.example.com"))
		}, heading: "region", first: "region"},
		{name: "no-volume", broken: "the variables are set, but the volume is missing", breaks: func(b *broken) { b.env(injectedToken + "=" + filepath.Dir(b.pod.TokenFile()) + "/none/token") },
			heading: "token-missing", first: "token-path"},
		{name: "token-removed", broken: "the token was removed from the volume", breaks: func(b *broken) { b.pod.RemoveToken() }, heading: "token-missing", first: "token-path"},
		{name: "directory", broken: "the path is that of the directory", breaks: func(b *broken) { b.env(injectedToken + "=" + filepath.Dir(b.pod.TokenFile())) },
			heading: "token-malformed", first: "token-path"},
		{name: "token-empty", broken: "the token file is empty", breaks: func(b *broken) { b.pod.Truncate(0) }, heading: "token-malformed", first: "token"},
		{name: "token-torn", broken: "the token is truncated", breaks: func(b *broken) { b.pod.Truncate(300) }, heading: "token-malformed", first: "token"},
		{name: "token-with-log", broken: "a log line got into the token file", breaks: func(b *broken) { b.pod.Write([]byte(b.pod.Token() + " 11:11:49.782386 40364 v3.go:79] EOF")) },
			heading: "token-malformed", first: "token"},
		{name: "token-unsigned", broken: "the token has no signature", breaks: rotate(irsatest.Invalid("unsigned")), heading: "token-malformed", first: "token"},
		{name: "token-function", broken: "the application's token function fails", breaks: func(b *broken) {
			b.without(injectedToken)
			b.set(func(o *irsa.Options) { o.Token = failingTokens{errors.New(`serviceaccounts "cart" is forbidden`)} })
		}, heading: "token-source", first: "token"},
		{name: "token-expired", broken: "the kubelet has not reached the API server for days", breaks: func(b *broken) { b.pod.Freeze(); time.Sleep(25 * time.Hour) },
			heading: "token-expired", first: "lifetime"},
		{name: "token-overdue", broken: "the kubelet has not reached the API server for hours", breaks: func(b *broken) { b.pod.Freeze(); time.Sleep(23 * time.Hour) }, warned: "lifetime"},
		{name: "subpath", broken: "the token is mounted with subPath, and has expired", breaks: func(b *broken) {
			b.pod = b.Pod(b.sa, b.role, func(o *irsatest.PodOptions) { o.SubPath = true })
			time.Sleep(25 * time.Hour)
			b.pod.Rotate()
		}, heading: "token-not-renewed", first: "lifetime", warned: "token-path"},
		{name: "created-token", broken: "the token is from kubectl create token, and has expired", breaks: writes(irsatest.Invalid("expired")),
			heading: "token-not-renewed", first: "lifetime", warned: "token-path"},
		{name: "created-token-audience", broken: "the token is from kubectl create token, without an audience", breaks: writes(irsatest.Claim("aud", "https://kubernetes.default.svc")),
			heading: "audience", first: "audience", warned: "token-path"},
		{name: "created-token-for-vault", broken: "the token is from kubectl create token, for Vault", breaks: writes(irsatest.Claim("aud", "vault")),
			heading: "audience", first: "exchange", warned: "audience"},
		{name: "clock-behind", broken: "the node's clock is a day behind", breaks: func(b *broken) { b.STS.SetClockSkew(25 * time.Hour) }, heading: "clock", first: "clock"},
		{name: "clock-ahead", broken: "the node's clock is 10 minutes ahead", breaks: func(b *broken) { b.STS.SetClockSkew(-10 * time.Minute) }, first: "clock"},
		{name: "clock-of-the-api-server", broken: "the API server's clock is two hours ahead", breaks: rotate(irsatest.Invalid("not yet valid")),
			heading: "clock", first: "exchange", warned: "lifetime"},
		{name: "audience", broken: "the token is for Vault", breaks: rotate(irsatest.Claim("aud", "vault")), heading: "audience", first: "exchange", warned: "audience"},
		{name: "audience-china", broken: "the audience was derived from the partition", breaks: rotate(irsatest.Claim("aud", "sts.amazonaws.com.cn")),
			heading: "audience", first: "exchange", warned: "audience"},
		{name: "client-id", broken: "the OIDC provider lacks the audience", breaks: func(b *broken) { b.RegisterIssuer("111122223333", b.Issuer, "vault") },
			heading: "audience", first: "exchange"},
		{name: "no-oidc-provider", broken: "the account has no OIDC provider for the cluster", breaks: func(b *broken) { b.UnregisterIssuer("111122223333", b.Issuer) },
			heading: "no-oidc-provider", first: "exchange"},
		{name: "internal-issuer", broken: "the API server has its default issuer, which AWS cannot reach",
			breaks:  rotate(irsatest.Claim("iss", "https://kubernetes.default.svc.cluster.local")),
			heading: "no-oidc-provider", first: "exchange", warned: "claims"},
		{name: "secret-token", broken: "the token is from a service account's secret", breaks: func(b *broken) {
			b.pod.Rotate(irsatest.Claim("iss", "kubernetes/serviceaccount"), irsatest.Claim("aud", nil), irsatest.Claim("exp", nil), irsatest.Claim("iat", nil))
		}, heading: "token-rejected", first: "claims"},
		{name: "other-token", broken: "the token is a user's, not a service account's", breaks: rotate(irsatest.Claim("sub", "alice")), heading: "access-denied", first: "exchange", warned: "claims"},
		{name: "thumbprint", broken: "the issuer's certificate has changed", breaks: fault(irsatest.Thumbprint), heading: "thumbprint", first: "exchange"},
		{name: "verification-key", broken: "STS cannot fetch the issuer's keys", breaks: fault(irsatest.VerificationKey), heading: "verification-key", first: "exchange"},
		{name: "idp-communication", broken: "STS cannot reach the issuer", breaks: fault(irsatest.IDPCommunicationError), heading: "verification-key", first: "exchange"},
		{name: "idp-rejected-claim", broken: "the issuer rejects the claim", breaks: fault(irsatest.IDPRejectedClaim), heading: "token-rejected", first: "exchange"},
		{name: "signature", broken: "the token has the signature of another token", breaks: rotate(irsatest.Invalid("bad signature")), heading: "token-rejected", first: "exchange"},
		{name: "trusts-nobody", broken: "the role has no trust policy", breaks: func(b *broken) { b.Role("s3-writer") }, heading: "access-denied", first: "exchange"},
		{name: "no-such-role", broken: "the role does not exist", breaks: environ(injectedRole + "=arn:aws:iam::111122223333:role/s3-writr"), heading: "access-denied", first: "exchange"},
		{name: "namespace", broken: "the trust policy names another namespace", breaks: trusting("StringEquals", "system:serviceaccount:store:cart"), heading: "access-denied", first: "trust-policy"},
		{name: "wildcard", broken: "the trust policy has a wildcard under StringEquals", breaks: trusting("StringEquals", "system:serviceaccount:shop:*"), heading: "access-denied", first: "trust-policy"},
		{name: "policy-of-yesterday", broken: "the doctor gets another trust policy than the role's", breaks: func(b *broken) {
			trusting("StringLike", "system:serviceaccount:shop:*")(b)
			b.Role("s3-writer")
		}, heading: "access-denied", first: "exchange", warned: "trust-policy"},
		{name: "policy-typo", broken: "the doctor gets a trust policy with an unknown operator", breaks: func(b *broken) {
			b.document = strings.Replace(b.role.TrustPolicy(), "StringEquals", "StringEqual", 1)
		}, warned: "trust-policy"},
		{name: "policy-typo-and-denied", broken: "the trust policy has an unknown operator, so IAM rejected it", breaks: func(b *broken) {
			b.document = strings.Replace(b.role.TrustPolicy(), "StringEquals", "StringEqual", 1)
			b.Role("s3-writer")
		}, heading: "access-denied", first: "trust-policy"},
		{name: "throttled", broken: "STS throttles", breaks: fault(irsatest.Throttling), heading: "throttled", first: "exchange"},
		{name: "gateway-limit", broken: "a gateway limits the requests", breaks: answering(429, "local_rate_limited"), heading: "throttled", first: "exchange", warned: "answer"},
		{name: "gateway-failure", broken: "a gateway does not reach STS", breaks: answering(503, "no healthy upstream"), heading: "sts-unavailable", first: "exchange", warned: "answer"},
		{name: "max-session-duration", broken: "the role does not allow 12 hours", breaks: option(func(o *irsa.Options) { o.Duration = 12 * time.Hour }), heading: "session-duration", first: "exchange"},
		{name: "role-chaining", broken: "a server reports role chaining", breaks: answering(400, errorXML("ValidationError",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")), heading: "session-duration", first: "exchange"},
		{name: "malformed-policy", broken: "the session policy is not valid", breaks: option(func(o *irsa.Options) { o.Policy = `{"Version":"2012-10-17"}` }), heading: "session-policy", first: "exchange"},
		{name: "packed-policy", broken: "the session policies are too large together", breaks: answering(400, errorXML("PackedPolicyTooLarge",
			"Packed policy consumes 112% of allotted space, please use smaller policy.")), heading: "session-policy", first: "exchange"},
		{name: "region-disabled", broken: "STS is deactivated in the region", breaks: fault(irsatest.RegionDisabled), heading: "region-disabled", first: "exchange"},
		{name: "request-arn", broken: "STS rejects the ARN as invalid", breaks: answering(400, errorXML("ValidationError", "Request ARN is invalid")), heading: "role-arn", first: "exchange"},
		{name: "validation-error", broken: "STS rejects a parameter for an unknown reason", breaks: answering(400, errorXML("ValidationError",
			"1 validation error detected: Value at 'somethingNew' failed to satisfy constraint: Member must not be null")), heading: "invalid-request", first: "exchange"},
		{name: "service-unavailable", broken: "STS responds with 503", breaks: fault(irsatest.Unavailable), heading: "sts-unavailable", first: "exchange", warned: "answer"},
		{name: "internal-failure", broken: "STS responds with 500", breaks: fault(irsatest.InternalFailure), heading: "sts-unavailable", first: "exchange", warned: "answer"},
		{name: "invalid-action", broken: "the request goes to an S3 server", breaks: answering(400, `<ErrorResponse><Error><Code>InvalidAction</Code>`+
			`<Message>Could not find operation AssumeRoleWithWebIdentity for version 2011-06-15</Message></Error></ErrorResponse>`), heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "method-not-allowed", broken: "a server responds with 405", breaks: answering(405, ""), heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "web-page", broken: "the response is a sign-in page", breaks: fault(irsatest.HTMLReply), heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "empty-reply", broken: "the response is empty", breaks: fault(irsatest.EmptyReply), heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "no-credentials", broken: "the response has no credentials", breaks: fault(irsatest.NoCredentials), heading: "not-sts", first: "exchange"},
		{name: "expired-credentials", broken: "STS returns expired credentials", breaks: fault(irsatest.ExpiredCredentials), heading: "clock", first: "exchange"},
		{name: "minio", broken: "MinIO rejects the token", breaks: func(b *broken) {
			b.env(injectedRole + "=arn:minio:iam:us-east-1::role/nOybJqMNzNmroqEKq5D0EUsRZw0")
			answering(400, errorXML("InvalidParameterValue", "JWT token is expired"))(b)
		}, heading: "token-rejected", first: "exchange"},
		{name: "hang", broken: "STS hangs", breaks: fault(irsatest.Hang), heading: "timeout", first: "answer"},
		{name: "hang-of-the-exchange", broken: "STS hangs for this role only", breaks: func(b *broken) { b.role.Fail(irsatest.Hang, -1) }, heading: "timeout", first: "exchange"},
		{name: "reset", broken: "the connection is reset", breaks: fault(irsatest.Reset), heading: "connection", first: "answer"},
		{name: "refused", broken: "nothing listens at STS's address", breaks: func(b *broken) { b.STS.Down() }, heading: "connection", first: "answer"},
		{name: "refused-on-loopback", broken: "nothing listens at STS's port", breaks: func(b *broken) { b.STS.Down() }, heading: "connection", first: "connection", sockets: true},
		{name: "no-such-host", broken: "the name of STS cannot be resolved", breaks: ownClient("https://sts..amazonaws.com"), heading: "name-resolution", first: "name-resolution", sockets: true},
		{name: "unknown-authority", broken: "a proxy intercepts TLS", breaks: func(b *broken) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.Config.ErrorLog = nil
			server.StartTLS()
			b.Cleanup(server.Close)
			ownClient(server.URL)(b)
		}, heading: "tls", first: "tls", sockets: true},
		{name: "silent-server", broken: "a server accepts the connection and does not respond", breaks: func(b *broken) {
			b.set(func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: silence(b.T)}}
			})
		}, heading: "timeout", first: "tls"},
		{name: "proxy", broken: "the proxy refuses connections", breaks: func(b *broken) {
			b.set(func(o *irsa.Options) {
				o.Endpoint = "https://sts.us-west-2.amazonaws.com"
				o.HTTPClient = &http.Client{Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return closedPort(b.T), nil }}}
			})
		}, heading: "proxy", first: "connection", sockets: true},
		{name: "subpath-and-trust", broken: "the token is mounted with subPath and overdue, and the role trusts another service account", breaks: func(b *broken) {
			b.pod = b.Pod(b.sa, b.role, func(o *irsatest.PodOptions) { o.SubPath = true })
			time.Sleep(25 * time.Hour)
			trusting("StringEquals", "system:serviceaccount:shop:search")(b)
		}, heading: "token-not-renewed", first: "lifetime", warned: "token-path"},
		{name: "volume-and-network", broken: "the volume is missing, and STS cannot be reached", breaks: func(b *broken) {
			b.env(injectedToken + "=" + filepath.Dir(b.pod.TokenFile()) + "/none/token")
			b.STS.Down()
		}, heading: "token-missing", first: "token-path", sockets: true},
	}
}

const chinaRole = "arn:aws-cn:iam::111122223333:role/s3-writer"

// moreSetups are setups with easily confused causes.
func moreSetups() []setup {
	environ := func(variables ...string) func(*broken) { return func(b *broken) { b.env(variables...) } }
	write := func(text func(token string) string) func(*broken) {
		return func(b *broken) { b.pod.Write([]byte(text(b.pod.Token()))) }
	}
	in := func(region string) func(*broken) { return environ("AWS_REGION="+region, "AWS_DEFAULT_REGION="+region) }
	return []setup{
		{name: "partition-no-oidc-provider", broken: "the role is in China, and STS finds no OIDC provider", breaks: func(b *broken) {
			b.env(injectedRole + "=" + chinaRole)
			answering(400, errorXML("InvalidIdentityToken", "No OpenIDConnect provider found in your account for "+issuerURL))(b)
		}, heading: "role-arn", first: "role"},
		{name: "partition-request-arn", broken: "the role is in China, and STS rejects its ARN as invalid", breaks: func(b *broken) {
			b.env(injectedRole + "=" + chinaRole)
			answering(400, errorXML("ValidationError", "Request ARN is invalid"))(b)
		}, heading: "role-arn", first: "role"},
		{name: "fips", broken: "FIPS is selected in a region without it", breaks: func(b *broken) {
			in("eu-west-1")(b)
			b.env("AWS_USE_FIPS_ENDPOINT=true")
			b.set(func(o *irsa.Options) { o.HTTPClient = unknownHost() })
		}, heading: "endpoint", first: "answer"},
		{name: "dual-stack", broken: "dual stack is selected in a region without it", breaks: func(b *broken) {
			b.env(injectedRole+"=arn:aws-iso:iam::111122223333:role/s3-writer", "AWS_USE_DUALSTACK_ENDPOINT=true")
			in("us-iso-east-1")(b)
			b.set(func(o *irsa.Options) { o.HTTPClient = unknownHost() })
		}, heading: "endpoint", first: "answer"},
		{name: "zone", broken: "AWS_REGION is an Availability Zone", breaks: in("us-east-1a"), heading: "region", first: "region"},
		{name: "global-region", broken: "AWS_REGION is a pseudo region", breaks: in("aws-global"), heading: "region", first: "region"},
		{name: "packed-tags", broken: "the token has too many session tags", breaks: answering(400, errorXML("PackedPolicyTooLargeException",
			"Packed size of session tags consumes 112% of allotted space.")), heading: "session-policy", first: "exchange"},
		{name: "issuer-address", broken: "the issuer is an address with a port", breaks: func(b *broken) { b.pod.Rotate(irsatest.Claim("iss", "https://10.0.0.1:6443")) },
			heading: "no-oidc-provider", first: "exchange", warned: "claims"},
		{name: "issuer-port", broken: "the issuer has a port", breaks: func(b *broken) { b.pod.Rotate(irsatest.Claim("iss", "https://oidc.example.com:8443")) },
			heading: "no-oidc-provider", first: "exchange", warned: "claims"},
		{name: "kubernetes-token", broken: "the variable names the token for the API server", breaks: func(b *broken) {
			b.without("AWS_REGION", "AWS_DEFAULT_REGION")
			b.pod.Rotate(irsatest.Claim("iss", "https://kubernetes.default.svc.cluster.local"), irsatest.Claim("aud", "https://kubernetes.default.svc"))
		}, heading: "audience", first: "audience"},
		{name: "kubernetes-token-in-region", broken: "the variable names the token for the API server of EKS", breaks: func(b *broken) {
			b.pod.Rotate(irsatest.Claim("aud", "https://kubernetes.default.svc"))
		}, heading: "audience", first: "audience"},
		{name: "kubernetes-token-accepted", broken: "the OIDC provider accepts the audience of the API server", breaks: func(b *broken) {
			b.RegisterIssuer("111122223333", b.Issuer, "https://kubernetes.default.svc")
			b.role.SetTrustPolicy(strings.ReplaceAll(b.role.TrustPolicy(), `"sts.amazonaws.com"`, `"https://kubernetes.default.svc"`))
			b.pod.Rotate(irsatest.Claim("aud", "https://kubernetes.default.svc"))
		}, warned: "audience"},
		{name: "other-sts-without-get", broken: "the STS is not AWS's, works, and does not respond to other requests", breaks: func(b *broken) {
			pass := b.HTTPClient().Transport
			b.set(func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodGet {
						return nil, io.EOF
					}
					return pass.RoundTrip(r)
				})}
			})
		}, warned: "answer"},
		{name: "token-bom", broken: "the token file begins with a byte order mark", breaks: write(func(token string) string { return "\ufeff" + token }), heading: "token-malformed", first: "token"},
		{name: "token-quoted", broken: "the token is in quotes", breaks: write(func(token string) string { return `"` + token + `"` }), heading: "token-malformed", first: "token"},
		{name: "token-json", broken: "the file contains a TokenRequest", breaks: write(func(token string) string { return `{"status":{"token":"` + token + `"}}` }), heading: "token-malformed", first: "token"},
		{name: "token-bearer", broken: "the file contains an HTTP header", breaks: write(func(token string) string { return "Bearer " + token }), heading: "token-malformed", first: "token"},
		{name: "token-too-long", broken: "the token is larger than STS accepts", breaks: write(func(token string) string { return token + strings.Repeat("A", 20000) }), heading: "token-malformed", first: "token"},
		{name: "session-name-rejected", broken: "STS does not accept the session's name", breaks: answering(400, errorXML("ValidationError",
			"1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*")), heading: "settings", first: "exchange"},
		{name: "method-not-allowed-code", broken: "an S3 server responds to POST", breaks: answering(405, "<Error><Code>MethodNotAllowed</Code><Message>The specified method is not allowed against this resource.</Message></Error>"),
			heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "no-such-version", broken: "the request goes to another AWS service", breaks: answering(400, `<ErrorResponse><Error><Code>NoSuchVersion</Code><Message>The requested version ( 2011-06-15 ) is not valid.</Message></Error></ErrorResponse>`),
			heading: "not-sts", first: "exchange", warned: "answer"},
		{name: "eof", broken: "the connection ends early", breaks: failWith(io.EOF), heading: "connection", first: "answer"},
		{name: "dial-timeout", broken: "packets to STS are lost", breaks: failWith(&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(52, 94, 0, 1), Port: 443}, Err: os.ErrDeadlineExceeded}),
			heading: "timeout", first: "answer"},
		{name: "proxy-authentication", broken: "the proxy requires a password", breaks: func(b *broken) {
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
			b.Cleanup(proxy.Close)
			address, err := url.Parse(proxy.URL)
			require.NoError(b, err)
			b.set(func(o *irsa.Options) {
				o.Endpoint = "https://sts.us-west-2.amazonaws.com"
				o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = http.ProxyURL(address) })
			})
		}, heading: "proxy", first: "connection", sockets: true},
		{name: "other-sts", broken: "the STS is not AWS's, and works", breaks: func(b *broken) {
			pass := b.HTTPClient().Transport
			b.set(func(o *irsa.Options) {
				o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodGet {
						return &http.Response{StatusCode: http.StatusBadRequest, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<Error/>")), Request: r}, nil
					}
					return pass.RoundTrip(r)
				})}
			})
		}},
	}
}
