package irsatest_test

import (
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// FuzzRequest sends arbitrary requests to the STS. tokenIn stands for a valid token.
func FuzzRequest(f *testing.F) {
	const tokenIn = "{token}"
	const exchange = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/s3-writer&RoleSessionName=cart&WebIdentityToken=" + tokenIn
	const assume = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::111122223333:role/s3-writer&RoleSessionName=cart"
	for _, body := range []string{
		"", "%", "a=%zz&Action", "Action=GetCallerIdentity&Version=2011-06-15", exchange, exchange + "&DurationSeconds=900",
		exchange + "&DurationSeconds=99999999999999", exchange + "&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/A&Policy={}",
		"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=role&RoleSessionName=%00&WebIdentityToken=a.b.c",
		assume, assume + "&Tags.member.1.Key=k&Tags.member.2.Value=v&TransitiveTagKeys.member.1=k&ExternalId=x&SourceIdentity=s",
	} {
		f.Add("/", body, "")
		f.Add("/?"+strings.ReplaceAll(body, "%", ""), "", "AWS4-HMAC-SHA256 Credential=AKIA/20260102/us-west-2/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature="+strings.Repeat("0", 64))
	}
	k := irsatest.New(f)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	client := k.HTTPClient()
	f.Fuzz(func(t *testing.T, target, body, authorization string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://sts.us-west-2.amazonaws.com", strings.NewReader(strings.ReplaceAll(body, tokenIn, pod.Token())))
		require.NoError(t, err)
		request.URL, err = request.URL.Parse(strings.TrimLeft(target, "/"))
		if err != nil || request.URL.Host != "sts.us-west-2.amazonaws.com" {
			return // not a valid URL for the STS
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Authorization", authorization)
		request.Header.Set("X-Amz-Date", "20260102T000000Z")
		response, err := client.Do(request)
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		k.STS.ForgetCalls()
		var reply struct{ XMLName xml.Name }
		require.NoError(t, xml.Unmarshal(text, &reply), "%s", text)
		require.Equal(t, response.StatusCode != http.StatusOK, reply.XMLName.Local == "ErrorResponse", "%s", text)
		if strings.Contains(string(text), "<SecretAccessKey>") {
			require.Contains(t, body, tokenIn, "credentials without a token")
		}
	})
}
