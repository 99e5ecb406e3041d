package configtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/davecgh/go-spew/spew"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// The error of a service call wraps the kind and the cause, regardless of how the Provider
// was set in the configuration.
func TestErrorOfServiceCallWrapsKindAndCause(t *testing.T) {
	as := func(target any) func(error) bool { return func(err error) bool { return errors.As(err, target) } }
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	code := func(want string) func(error) bool {
		return func(err error) bool {
			var api smithy.APIError
			return errors.As(err, &api) && api.ErrorCode() == want
		}
	}
	noS3 := smithyhttp.ClientDoFunc(func(*http.Request) (*http.Response, error) { return nil, os.ErrInvalid })
	for _, tt := range []struct {
		name   string
		inject func(*irsatest.Cluster, *irsatest.Pod)
		kind   error
		cause  func(error) bool
	}{
		{"no token", func(_ *irsatest.Cluster, pod *irsatest.Pod) { pod.RemoveToken() }, irsa.ErrTokenFile, is(fs.ErrNotExist)},
		{"an expired token", fault(irsatest.ExpiredToken), irsa.ErrTokenExpired, as(new(*types.ExpiredTokenException))},
		{"a rejected token", fault(irsatest.Thumbprint), irsa.ErrTokenRejected, as(new(*types.InvalidIdentityTokenException))},
		{"access denied", fault(irsatest.AccessDenied), irsa.ErrAccessDenied, code("AccessDenied")},
		{"throttling", fault(irsatest.Throttling), irsa.ErrThrottled, code("Throttling")},
		{"a region without STS", fault(irsatest.RegionDisabled), irsa.ErrInvalidRequest, as(new(*types.RegionDisabledException))},
		{"a hang", fault(irsatest.Hang), irsa.ErrUnavailable, is(context.DeadlineExceeded)},
		{"no connection", func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.Down() }, irsa.ErrUnavailable, as(new(*net.OpError))},
	} {
		for _, setup := range setups {
			t.Run(tt.name+", "+setup.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, pod := newPod(t)
					tt.inject(k, pod)
					p := newProvider(t, pod.Options)
					cfg, err := setup.load(t.Context(), p)
					require.NoError(t, err)

					_, retrieved := cfg.Credentials.Retrieve(t.Context())
					client := s3.NewFromConfig(cfg, func(o *s3.Options) {
						o.Region, o.Retryer = pod.Region(), aws.NopRetryer{}
						o.HTTPClient = noS3 // without credentials, no request reaches it
					})
					_, called := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("receipts"), Key: aws.String("1")})
					for _, err := range []error{retrieved, called} {
						require.ErrorIs(t, err, tt.kind)
						assert.True(t, tt.cause(err), err)
						var failure *irsa.Error
						require.ErrorAs(t, err, &failure)
						assert.Equal(t, pod.RoleARN(), failure.RoleARN)
						assert.NotEmpty(t, failure.Link)
					}
				})
			})
		}
	}
}

func fault(f irsatest.Fault) func(*irsatest.Cluster, *irsatest.Pod) {
	return func(k *irsatest.Cluster, _ *irsatest.Pod) { k.STS.Fail(f, -1) }
}

// requireNotPrinted checks that a value printed by reflection and a diff of it do not contain 12 consecutive
// characters of the token's payload or signature.
func requireNotPrinted(t *testing.T, token string, value any, diff string) {
	t.Helper()
	without := spew.ConfigState{DisableMethods: true, Indent: " "}
	for _, text := range []string{spew.Sdump(value, &value, struct{ v any }{value}), without.Sdump(value, &value), diff} {
		require.NotEmpty(t, text)
		for _, part := range strings.Split(token, ".")[1:] {
			for i := 0; i+12 <= len(part); i++ {
				require.NotContains(t, text, part[i:i+12])
			}
		}
	}
}

func TestTokenIsNotPrintedByReflection(t *testing.T) {
	k := irsatest.New(t)
	token, other := k.ServiceAccount("shop", "cart").Token(), k.ServiceAccount("shop", "search").Token()
	one, err := tokenfile.Parse(token)
	require.NoError(t, err)
	two, err := tokenfile.Parse(other)
	require.NoError(t, err)
	requireNotPrinted(t, token, one, cmp.Diff(one, two, cmp.Exporter(func(reflect.Type) bool { return true })))
}

func TestErrorPrintedByReflectionContainsNoToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		w.Header().Set("X-Amzn-Requestid", form.Get("WebIdentityToken"))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", form.Get("WebIdentityToken"))
	}))
	defer server.Close()
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Endpoint, o.HTTPClient = server.URL, nil })
	err := p.Refresh(t.Context())
	var typed *irsa.Error
	require.ErrorAs(t, err, &typed)
	same := cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })
	requireNotPrinted(t, pod.Token(), err, cmp.Diff(&irsa.Error{}, typed, cmp.AllowUnexported(irsa.Error{}), same))
}
