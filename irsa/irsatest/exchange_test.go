package irsatest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSTSExchangesTokenForCredentials(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		before := time.Now()
		out, err := w.assume(t.Context())
		require.NoError(t, err)

		assert.Regexp(t, `^ASIA[A-Z2-7]{16}$`, *out.Credentials.AccessKeyId)
		assert.Len(t, *out.Credentials.SecretAccessKey, 40)
		assert.Regexp(t, `^[A-Za-z0-9+/=]{400,1000}$`, *out.Credentials.SessionToken)
		assert.WithinDuration(t, before.Add(time.Hour), *out.Credentials.Expiration, 2*time.Second)
		assert.Zero(t, out.Credentials.Expiration.Nanosecond(), "AWS sends whole seconds")
		assert.Equal(t, "arn:aws:sts::111122223333:assumed-role/s3-writer/session", *out.AssumedRoleUser.Arn)
		assert.Regexp(t, `^AROA[A-Z2-7]{17}:session$`, *out.AssumedRoleUser.AssumedRoleId)
		assert.Equal(t, "sts.amazonaws.com", *out.Audience)
		_, issuer, _ := strings.Cut(w.Issuer.URL(), "://")
		assert.Equal(t, "arn:aws:iam::111122223333:oidc-provider/"+issuer, *out.Provider)
		assert.Equal(t, "system:serviceaccount:shop:cart", *out.SubjectFromWebIdentityToken)
		id, ok := awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
		assert.True(t, ok)
		assert.Regexp(t, `^[0-9a-f-]{36}$`, id)

		again, err := w.assume(t.Context())
		require.NoError(t, err)
		assert.NotEqual(t, *out.Credentials.AccessKeyId, *again.Credentials.AccessKeyId)
	})
}

func TestSTSAcceptsTokensOfOldAndNewKeys(t *testing.T) {
	onBothTransports(t, func(t *testing.T, w *world) {
		_, err := w.assume(t.Context()) // makes STS fetch the first key
		require.NoError(t, err)
		old := w.pod.Token()

		w.Issuer.RotateKeys()
		w.pod.Rotate()
		assert.NotEqual(t, header(t, old)["kid"], header(t, w.pod.Token())["kid"])
		_, err = w.assume(t.Context())
		require.NoError(t, err, "the new key is fetched")

		w.pod.Write([]byte(old))
		_, err = w.assume(t.Context())
		require.NoError(t, err, "the old key is still published")
	})
}

func TestSTSAcceptsDurationAndSessionPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := inMemory(t)
		before := time.Now()
		out, err := w.assume(t.Context(), func(in *sts.AssumeRoleWithWebIdentityInput) {
			in.DurationSeconds = aws.Int32(900)
			in.Policy = aws.String(sessionPolicy)
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")}}
		})
		require.NoError(t, err)
		assert.Equal(t, before.Add(15*time.Minute).UTC(), out.Credentials.Expiration.UTC())
		assert.Equal(t, 15*time.Minute, w.STS.Calls()[0].Duration)
	})
}
