package explain

import (
	"errors"
	"fmt"
	"strings"
)

// OtherRegion is the advice for an endpoint of another region.
const OtherRegion = "remove AWS_ENDPOINT_URL_STS, or set AWS_REGION to the endpoint's region"

// ChainKind returns the kind of an error of a request that is signed with the credentials of a
// source role.
func ChainKind(err error) error {
	var failure *RequestError
	if errors.As(err, &failure) {
		switch failure.Code {
		case "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId":
			return ErrRejected // STS rejected the source's credentials
		case "SignatureDoesNotMatch":
			if !isOtherRegion(err) {
				return ErrRejected
			}
		}
	}
	return Kind(err)
}

// Chain returns the advice for a role that cannot assume another.
func Chain(f Facts, source string) Advice {
	if isOtherRegion(f.Err) {
		return Advice{HeadingEndpoint, fmt.Sprintf("the STS endpoint is not one of the region %s, for which requests are signed: %s", f.Region, OtherRegion)}
	}
	if !f.is(ErrAccessDenied) {
		return For(f)
	}
	return Advice{HeadingRoleChain, fmt.Sprintf("%s needs the permission sts:AssumeRole for %s, and the trust policy of that role the statement %s, with the external ID and the source identity that its conditions ask for",
		source, f.RoleARN, principalStatement(source))}
}

// isOtherRegion reports whether STS rejected a signature because it is for another region.
// https://github.com/cloud-custodian/cloud-custodian/issues/4874 shows the text that AWS sends.
func isOtherRegion(err error) bool {
	var failure *RequestError
	return errors.As(err, &failure) && strings.HasPrefix(failure.Message, "Credential should be scoped to a valid region")
}

// principalStatement returns the trust policy statement that allows a role, in one line of JSON.
func principalStatement(role string) string {
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}`, role)
}
