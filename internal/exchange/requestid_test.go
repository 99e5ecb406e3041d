package exchange

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

func TestRetrieveErrorForUnusableSuccessHasRequestID(t *testing.T) {
	fine := success(goodARN, "secret", "session")
	expiry := fine[strings.Index(fine, "<Expiration>"):strings.Index(fine, "</Expiration>")]
	for name, body := range map[string]string{
		"another role":   success("arn:aws:sts::111122223333:assumed-role/other/session", "secret", "session"),
		"line breaks":    success(goodARN, "sec\nret", "session"),
		"no keys":        success(goodARN, "", "session"),
		"no expiry":      strings.Replace(fine, expiry+"</Expiration>", "", 1),
		"expired":        strings.Replace(fine, expiry, "<Expiration>2001-01-01T00:00:00Z", 1),
		"no credentials": strings.NewReplacer("<Credentials>", "<Other>", "</Credentials>", "</Other>").Replace(fine),
	} {
		for _, chained := range []bool{false, true} {
			body := body // modified for a chain
			if chained {
				body = strings.ReplaceAll(body, "RoleWithWebIdentity", "Role")
			}
			shared := &config.Shared{HTTPClient: client(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"X-Amzn-Requestid": {"id-1"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
			})}
			var err error
			if chained {
				c := config.Config{RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", Shared: shared}
				input := &sts.AssumeRoleInput{RoleArn: aws.String(c.RoleARN), RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
				source := Signer{Credentials: aws.Credentials{AccessKeyID: "ASIASOURCE", SecretAccessKey: "source-secret-key", SessionToken: "source"}}
				_, err = NewClient(&c, 0).AssumeRole(t.Context(), &c, new(State), input, source)
			} else {
				_, err = exchangeWith(t, config.Config{Region: "us-west-2", Shared: shared})
			}
			var failure *explain.RequestError
			require.ErrorAs(t, err, &failure, name)
			assert.Equal(t, "id-1", failure.RequestID, name)
			assert.Equal(t, explain.ErrUnavailable, explain.Kind(err, ""), name)
			assert.True(t, isError[*explain.RequestError](err), name)
		}
	}
}
