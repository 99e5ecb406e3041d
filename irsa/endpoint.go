package irsa

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// resolveEndpoint finds the URL of STS, by the SDK's own rules where none is set.
func (s *settings) resolveEndpoint() error {
	switch {
	case s.STS != nil:
		return nil
	case s.Endpoint != "":
		s.url = s.Endpoint
		return s.validateEndpoint()
	case s.Region == "" || !regionName.MatchString(s.Region):
		return nil // which is reported already
	}
	endpoint, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), sts.EndpointParameters{
		Region:       aws.String(s.Region),
		UseFIPS:      aws.Bool(s.environment.fips),
		UseDualStack: aws.Bool(s.environment.dualStack),
	})
	if err != nil { // whose text is the SDK's, and differs between its versions
		return fmt.Errorf("there is no STS endpoint for the region %q with %s %t and %s %t",
			s.Region, envFIPS, s.environment.fips, envDualStack, s.environment.dualStack)
	}
	s.url = endpoint.URI.String()
	return nil
}

// host returns the host of STS, "" if it is that of a client of the application's own.
func (s *settings) host() string {
	u, err := url.Parse(s.url)
	if err != nil {
		return ""
	}
	return u.Host
}

func (s *settings) validateEndpoint() error {
	u, err := url.Parse(s.Endpoint)
	switch {
	case err != nil && strings.Contains(s.Endpoint, "@"), err == nil && u.User != nil:
		return errors.New("the STS endpoint has a user name or a password, which STS does not take") // and is not shown
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("the STS endpoint %q is not the URL of a server: it looks like https://sts.us-west-2.amazonaws.com", s.Endpoint)
	}
	if s.environment.fips || s.environment.dualStack {
		return fmt.Errorf("the STS endpoint %q is set together with %s or %s: the SDK's rules allow one or the other", s.Endpoint, envFIPS, envDualStack)
	}
	return nil
}
