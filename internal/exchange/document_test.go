package exchange

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documentOfSTS is the example in the AssumeRoleWithWebIdentity reference, with shorter values.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
const documentOfSTS = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>system:serviceaccount:shop:cart</SubjectFromWebIdentityToken>
    <Audience>sts.amazonaws.com</Audience>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::111122223333:assumed-role/s3-writer/app1</Arn>
      <AssumedRoleId>AROACLKWSDQRAOEXAMPLE:app1</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2014-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
    <Provider>www.amazon.com</Provider>
  </AssumeRoleWithWebIdentityResult>
  <ResponseMetadata>
    <RequestId>ad4156e9-bce1-11e2-82e6-6b6efEXAMPLE</RequestId>
  </ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>
`

func TestParsePlainReadsDocumentOfSTS(t *testing.T) {
	r, ok := parsePlain([]byte(documentOfSTS))
	require.True(t, ok)
	assert.Equal(t, "ASgeIAIOSFODNN7EXAMPLE", aws.ToString(r.credentials.AccessKeyId))
	assert.Equal(t, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY", aws.ToString(r.credentials.SecretAccessKey))
	assert.Equal(t, "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE", aws.ToString(r.credentials.SessionToken))
	assert.Equal(t, "2014-10-24T23:00:23Z", r.credentials.Expiration.Format("2006-01-02T15:04:05Z07:00"))
	assert.Equal(t, "arn:aws:sts::111122223333:assumed-role/s3-writer/app1", aws.ToString(r.user.Arn))
	assert.Equal(t, "AROACLKWSDQRAOEXAMPLE:app1", aws.ToString(r.user.AssumedRoleId))
}

// A document that only encoding/xml can read, or that is invalid, is left to it.
func TestParsePlainRejectsOtherForms(t *testing.T) {
	for _, document := range []string{
		"</>", "<>", "<", "<A", "<A>", "</A>", "<A></B>", "<A><B></A></B>", "<A/>", "<A ></A>", "<A></A >", "<a:A></a:A>", `<A a="b"></A>`, "<A1></A1>",
		"<A>&lt;</A>", "<A>]]></A>", "<![CDATA[a]]>", "<!-- a -->", `<?xml version="1.0"?>`, "\ufeff", "<A>\r\n</A>", "<A>\x00</A>", "<\u00c4></\u00c4>",
		"<Credentials><Expiration>soon</Expiration></Credentials>",
		strings.Repeat("<A>", 100) + strings.Repeat("</A>", 99),
	} {
		_, ok := parsePlain([]byte(document))
		assert.False(t, ok, document)
	}
}

func FuzzParsePlain(f *testing.F) {
	for _, seed := range []string{documentOfSTS, success(goodARN, "secret", "session"), "", "text > text", "<A>a<B>b</B>c</A>", "<A></A><A></A>", "</>", "<A>]]></A>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		plain, ok := parsePlain([]byte(document))
		if !ok {
			return
		}
		complete, err := parseXML([]byte(document))
		require.NoError(t, err)
		require.Equal(t, complete, plain)
	})
}

func BenchmarkParseResult(b *testing.B) {
	for name, parse := range map[string]func([]byte) (result, error){"parseResult": parseResult, "encoding/xml": parseXML} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := parse([]byte(documentOfSTS))
				require.NoError(b, err)
			}
		})
	}
}
