package irsatest_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestSTSExpiredSignatureTextVaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		creds := w.retrieve(t.Context(), t)
		w.STS.SetClockSkew(10 * time.Minute)
		seen := map[string]bool{}
		for range 3 {
			_, err := w.signed(func(o *sts.Options) {
				o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil })
			}).GetCallerIdentity(t.Context(), nil)
			message := requireRejection(t, err, "SignatureDoesNotMatch", 403)
			assert.Regexp(t, `^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$`, message)
			seen[message] = true
			time.Sleep(time.Second)
		}
		assert.Len(t, seen, 3)
	})
}

func TestSTSConnectionErrorAddressesVary(t *testing.T) {
	w := inMemory(t)
	w.STS.Down()
	refused, reset := map[string]bool{}, map[string]bool{}
	for range 10 {
		_, err := w.assume(t.Context())
		var e *net.OpError
		require.ErrorAs(t, err, &e)
		assert.Regexp(t, `^dial tcp 192\.0\.2\.\d+:443: connect: connection refused$`, e.Error())
		refused[e.Error()] = true
	}
	w.STS.Recover()
	w.STS.Fail(irsatest.Reset, -1)
	for range 10 {
		_, err := w.assume(t.Context())
		var e *net.OpError
		require.ErrorAs(t, err, &e)
		assert.Regexp(t, `^read tcp 198\.51\.100\.7:\d{5}->192\.0\.2\.\d+:443: read: connection reset by peer$`, e.Error())
		reset[e.Error()] = true
	}
	assert.Greater(t, len(refused), 1)
	assert.Greater(t, len(reset), 1)
}

func TestSTSRequestIDsVary(t *testing.T) {
	w := inMemory(t)
	w.STS.Fail(irsatest.Throttling, 3)
	seen := map[string]bool{}
	for range 3 {
		_, err := w.assume(t.Context())
		var response *awshttp.ResponseError
		require.ErrorAs(t, err, &response)
		seen[response.ServiceRequestID()] = true
	}
	assert.Len(t, seen, 3)
}
