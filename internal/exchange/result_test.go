package exchange

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/config"
	"github.com/irsakit/irsakit/internal/explain"
)

// answering returns an HTTP client whose response is always HTTP 200 with the given body.
func answering(body string) client {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

func TestRetrieveAcceptsAllXMLForms(t *testing.T) {
	document := success(goodARN, "secret", "session")
	for name, document := range map[string]string{
		"STS's":           document,
		"declaration":     `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + document + "\n",
		"byte order mark": "\ufeff" + document,
		"namespace":       strings.Replace(document, "Response>", `Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">`, 1),
		"prefixes":        strings.NewReplacer("</", "</a:", "<", "<a:").Replace(document),
		"comment":         strings.Replace(document, "secret", "sec<!-- a -->ret", 1),
		"CDATA":           strings.Replace(document, "secret", "<![CDATA[sec]]>ret", 1),
		"entity":          strings.Replace(document, "secret", "&#115;ecret", 1),
		"no time zone":    strings.Replace(document, "Z</Expiration>", "</Expiration>", 1),
		"unknown element": strings.Replace(document, "<Credentials>", "<A><SecretAccessKey>a</SecretAccessKey></A><Credentials>", 1),
	} {
		t.Run(name, func(t *testing.T) {
			creds, err := exchangeAt(t, "https://sts.example", answering(document))
			require.NoError(t, err)
			assert.Equal(t, "ASIAEXAMPLE", creds.AccessKeyID)
			assert.Equal(t, "secret", creds.SecretAccessKey)
			assert.Equal(t, "session", creds.SessionToken)
			assert.Equal(t, "111122223333", creds.AccountID)
			assert.WithinDuration(t, time.Now().Add(time.Hour), creds.Expires, time.Minute)
		})
	}
}

func TestRetrieveRejectsNonXMLResponse(t *testing.T) {
	document := success(goodARN, "secret", "session")
	for _, document := range []string{
		"", "text", "<AResponse>", "<AResponse></BResponse>", "<AResponse/>", "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>",
		strings.TrimSuffix(document, "Response>"), document[:len(document)/2],
		strings.Replace(document, "secret", "&secret;", 1), strings.Replace(document, "secret", "secret\xff", 1),
		`<?xml version="1.0" encoding="a"?>` + document, `<?xml version="2"?>` + document,
		strings.Replace(document, "<Expiration>", "<Expiration>in ", 1),
		strings.Replace(document, "</Credentials>", "</Credentials><Credentials><AccessKeyId>ASIAOTHER</AccessKeyId></Credentials>", 1),
		strings.Replace(document, "<Expiration>", "<Expiration>2000-01-01T00:00:00Z</Expiration><Expiration>", 1),
	} {
		_, err := exchangeAt(t, "https://sts.example", answering(document))
		assert.EqualError(t, err, "the response contains no credentials: it is not from STS", document)
	}
}

// The SDK's errors, logs and spans can contain what the SDK reads.
func TestClientHidesSuccessfulResponseFromSDK(t *testing.T) {
	var read string
	observe := func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("test", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			response := out.RawResponse.(*smithyhttp.Response)
			body, _ := io.ReadAll(response.Body)
			read += string(body)
			for _, values := range response.Header {
				read += strings.Join(values, " ")
			}
			response.Body = http.NoBody
			return out, metadata, err
		}), middleware.After)
	}
	const secret, session = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	repeating := client(func(r *http.Request) (*http.Response, error) {
		response, err := answering(success(goodARN, secret, session)).Do(r)
		response.Header.Set("X-Amzn-Requestid", secret+"."+session[:20])
		return response, err
	})
	own := sts.New(sts.Options{Region: "us-west-2", HTTPClient: repeating, APIOptions: []func(*middleware.Stack) error{observe}})
	wrapper := &recordingWrapper{AssumeRoleWithWebIdentityAPIClient: own}
	creds, err := exchangeOf(t, "https://sts.example", &config.Shared{STS: wrapper}, 0).Retrieve(t.Context())
	require.NoError(t, err)
	assert.Equal(t, secret, creds.SecretAccessKey)
	assert.Equal(t, "text/xml", read)
	assert.Equal(t, "ASIAEXAMPLE", *wrapper.out.Credentials.AccessKeyId, "a wrapper of the client gets the result")
	assert.Equal(t, goodARN, *wrapper.out.AssumedRoleUser.Arn)
}

// recordingWrapper is an application's wrapper around an STS client.
type recordingWrapper struct {
	stscreds.AssumeRoleWithWebIdentityAPIClient
	out *sts.AssumeRoleWithWebIdentityOutput
}

func (w *recordingWrapper) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, opts ...func(*sts.Options)) (out *sts.AssumeRoleWithWebIdentityOutput, err error) {
	w.out, err = w.AssumeRoleWithWebIdentityAPIClient.AssumeRoleWithWebIdentity(ctx, in, opts...)
	return w.out, err
}

// What a Provider prints about a response must not contain any part of the request's secrets.
func TestClientRedactsResultThatRepeatsSecret(t *testing.T) {
	part := testToken[25:50]
	_, err := exchangeAt(t, "https://sts.example", answering(strings.Replace(success(goodARN, "secret", "session"), "ASIAEXAMPLE", part, 1)))
	require.ErrorIs(t, err, errRepeated)
	assert.NotContains(t, err.Error(), part)

	_, err = exchangeAt(t, "https://sts.example", answering(success("arn:aws:sts::111122223333:assumed-role/"+part+"/s", "secret", "session")))
	require.ErrorIs(t, err, explain.ErrNotSTS)
	assert.NotContains(t, err.Error(), part)

	const secret, session = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	for key, document := range map[string]string{
		secret:            success("arn:aws:sts::111122223333:assumed-role/"+secret+"/s", secret, session),
		session:           success("arn:aws:sts::111122223333:assumed-role/"+session+"/s", secret, session),
		session + "-line": success(goodARN, secret, session+"-line\n"),
		session + "-cut":  success(goodARN, secret, session+"-cut") + "<",
	} {
		_, err = exchangeAt(t, "https://sts.example", client(func(r *http.Request) (*http.Response, error) {
			response, err := answering(document).Do(r)
			response.Header.Set("X-Amzn-Requestid", key)
			return response, err
		}))
		var failure *explain.RequestError
		require.ErrorAs(t, err, &failure)
		assert.NotContains(t, failure.RequestID+err.Error(), key[:12], "the new keys are secret too")
	}

	c := config.Config{RoleARN: "arn:aws:iam::111122223333:role/r", Region: "us-west-2", Shared: &config.Shared{
		HTTPClient: answering("<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:" + part + "</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>"),
	}}
	name, err := NewClient(&c, 0).Identify(t.Context(), &c, aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "secret-of-a-role", SessionToken: part})
	require.NoError(t, err)
	assert.Equal(t, "arn:"+redacted, name)
}

// A gateway can respond with a part of an earlier response.
func TestClientRedactsKeysOfLastResponse(t *testing.T) {
	const secret, session = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"
	failing := false
	gateway := client(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		document := success(goodARN, secret, session)
		if strings.Contains(string(body), "Action=AssumeRole&") {
			document = strings.ReplaceAll(document, "RoleWithWebIdentity", "Role")
		}
		response, err := answering(document).Do(r)
		if failing {
			document = "<Error><Code>AccessDenied</Code><Message>" + secret + " " + session + "</Message></Error>"
			response.StatusCode, response.Body = http.StatusForbidden, io.NopCloser(strings.NewReader(document))
		}
		return response, err
	})
	x := exchangeOf(t, "https://sts.example", &config.Shared{HTTPClient: gateway}, 0)
	signer := Signer{Credentials: aws.Credentials{AccessKeyID: "ASIASOURCE", SecretAccessKey: "source-secret-key"}}
	state := &State{}
	input := &sts.AssumeRoleInput{RoleArn: &x.Config.RoleARN, RoleSessionName: aws.String("session"), DurationSeconds: aws.Int32(3600)}
	for _, failing = range []bool{false, true} {
		_, first := x.Retrieve(t.Context())
		_, chained := x.Client.AssumeRole(t.Context(), x.Config, state, input, signer)
		for _, err := range []error{first, chained} {
			if failing {
				assert.EqualError(t, err, "AccessDenied: [redacted] [redacted] (HTTP 403)")
			} else {
				require.NoError(t, err)
			}
		}
	}
}
