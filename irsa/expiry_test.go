package irsa_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// middlebox alters STS's responses to the given action, or to both actions if it is empty.
type middlebox struct {
	http.RoundTripper
	action     string
	header     func(http.Header)
	expiration string        // replaces the response's expiration if non-empty
	delay      time.Duration // delays the body after the header
}

func (m middlebox) RoundTrip(r *http.Request) (*http.Response, error) {
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(request))
	response, err := m.RoundTripper.RoundTrip(r)
	if err != nil || m.action != "" && !strings.Contains(string(request), "Action="+m.action+"&") {
		return response, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if m.expiration != "" {
		body = regexp.MustCompile(`<Expiration>.*</Expiration>`).ReplaceAll(body, []byte("<Expiration>"+m.expiration+"</Expiration>"))
	}
	response.Body = io.NopCloser(&slowReader{bytes.NewReader(body), m.delay})
	response.ContentLength = int64(len(body))
	response.Header.Del("Content-Length")
	if m.header != nil {
		m.header(response.Header)
	}
	return response, nil
}

// slowReader is a reader that pauses before the first byte.
type slowReader struct {
	io.Reader
	pause time.Duration
}

func (r *slowReader) Read(p []byte) (int, error) {
	time.Sleep(r.pause)
	r.pause = 0
	return r.Reader.Read(p)
}

func date(offset time.Duration) string {
	return time.Now().Add(offset).UTC().Format(http.TimeFormat)
}

// expiries are exchanges, each with the time from its start until the credentials expire.
var expiries = []struct {
	name      string
	box       middlebox
	skew      time.Duration // STS's clock relative to the node's
	latency   time.Duration
	requested time.Duration // an hour if zero
	want      time.Duration
}{
	{name: "nothing is changed", want: time.Hour},
	{name: "Date an hour behind", want: time.Hour, box: middlebox{header: func(h http.Header) { h.Set("Date", date(-time.Hour)) }}},
	{name: "Date an hour behind, half granted", want: 30 * time.Minute, box: middlebox{expiration: "2000-01-01T01:30:00Z", header: func(h http.Header) { h.Set("Date", date(-time.Hour)) }}},
	{name: "Date 2 hours ahead", want: time.Hour, box: middlebox{header: func(h http.Header) { h.Set("Date", date(2*time.Hour)) }}},
	{name: "Date in 1980", want: time.Hour, box: middlebox{header: func(h http.Header) { h.Set("Date", "Tue, 01 Jan 1980 00:00:00 GMT") }}},
	{name: "Date that is no date", want: time.Hour, box: middlebox{header: func(h http.Header) { h.Set("Date", "soon") }}},
	{name: "Date half an hour ahead", want: 30*time.Minute - time.Second, box: middlebox{header: func(h http.Header) { h.Set("Date", date(30*time.Minute)) }}},
	{name: "the same from a cache", want: time.Hour, box: middlebox{header: func(h http.Header) { h.Set("Date", date(30*time.Minute)); h.Set("Age", "0") }}},
	{name: "the same beside STS's", want: time.Hour, box: middlebox{header: func(h http.Header) { h["Date"] = append([]string{date(30 * time.Minute)}, h["Date"]...) }}},
	{name: "the node's clock is 3 minutes behind", want: time.Hour - time.Second, skew: 3 * time.Minute},
	{name: "the node's clock is 3 minutes ahead", want: time.Hour - time.Second, skew: -3 * time.Minute},
	{name: "the node's clock is 3 minutes behind, and there is no Date", want: time.Hour, skew: 3 * time.Minute, box: middlebox{header: func(h http.Header) { h.Del("Date") }}},
	{name: "the node's clock is 3 minutes behind, and the Date an hour", want: time.Hour, skew: 3 * time.Minute, box: middlebox{header: func(h http.Header) { h.Set("Date", date(-time.Hour)) }}},
	{name: "Expiration in 9999", want: time.Hour, box: middlebox{expiration: "9999-12-31T23:59:59Z"}},
	{name: "Expiration in 9999, and the node's clock is 3 minutes behind", want: time.Hour, skew: 3 * time.Minute, box: middlebox{expiration: "9999-12-31T23:59:59Z"}},
	{name: "a month for 15 minutes", want: 15 * time.Minute, requested: 15 * time.Minute, box: middlebox{expiration: "2000-01-31T00:00:00Z"}},
	{name: "slow response, Expiration in 9999", want: time.Hour, latency: 8 * time.Second, box: middlebox{expiration: "9999-12-31T23:59:59Z"}},
	{name: "slow body, Expiration in 9999", want: time.Hour, latency: 8 * time.Second, box: middlebox{expiration: "9999-12-31T23:59:59Z", delay: 8 * time.Second}},
	{name: "slow body, and the node's clock is 3 minutes behind", want: time.Hour - time.Second, skew: 3 * time.Minute, latency: 8 * time.Second, box: middlebox{delay: 8 * time.Second}},
}

// eachExpiry calls get with each exchange's options and checks the result. The clock is at
// 01:00:00 on January 1, 2000.
func eachExpiry(t *testing.T, action string, get func(t *testing.T, k *irsatest.Cluster, opts func(*irsa.Options), requested time.Duration) *irsa.Provider) {
	for _, tt := range expiries {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newCluster(t)
				tt.box.RoundTripper, tt.box.action = k.HTTPClient().Transport, action
				time.Sleep(time.Hour)
				p := get(t, k, func(o *irsa.Options) { o.HTTPClient = &http.Client{Transport: tt.box} }, tt.requested)
				k.STS.SetClockSkew(tt.skew)
				if tt.box.delay == 0 {
					k.STS.SetLatency(tt.latency)
				}
				start := time.Now()
				creds := retrieve(t, p)
				require.Equal(t, tt.latency, time.Since(start))
				margin := min(10*time.Second, (tt.want-tt.latency)/100)
				assert.GreaterOrEqual(t, creds.Expires.Sub(start), tt.want-margin)
				assert.LessOrEqual(t, creds.Expires.Sub(start), tt.want-margin/5*4)
			})
		})
	}
}

func TestProviderExpiry(t *testing.T) {
	eachExpiry(t, "AssumeRoleWithWebIdentity", func(t *testing.T, k *irsatest.Cluster, opts func(*irsa.Options), requested time.Duration) *irsa.Provider {
		sa := k.ServiceAccount("shop", "cart")
		pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)), autoRotated)
		return newProvider(t, pod.Options, opts, func(o *irsa.Options) { o.Duration = requested })
	})
}

func TestChainExpiry(t *testing.T) {
	eachExpiry(t, "AssumeRole", func(t *testing.T, k *irsatest.Cluster, opts func(*irsa.Options), requested time.Duration) *irsa.Provider {
		sa := k.ServiceAccount("shop", "cart")
		first := k.Role("first", irsatest.Trust(sa))
		second := k.Role("second", irsatest.InAccount("444455556666"), irsatest.Trust(first))
		source := newProvider(t, k.Pod(sa, first, autoRotated).Options, opts)
		retrieve(t, source)
		p, err := source.AssumeRole(second.ARN(), func(o *stscreds.AssumeRoleOptions) {
			if requested > 0 {
				o.Duration = requested
			}
		})
		require.NoError(t, err)
		return p
	})
}

// The second role's lifetime is limited by the duration that the SDK requests, not by the first role's
// duration.
func TestChainRequestsOwnDuration(t *testing.T) {
	for duration, want := range map[time.Duration]time.Duration{0: 15 * time.Minute, 20 * time.Minute: 20 * time.Minute, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			k, pod, roles := threeAccounts(t)
			p := newProvider(t, pod.Options)
			next, err := p.AssumeRole(roles[1].ARN(), func(o *stscreds.AssumeRoleOptions) { o.Duration = duration })
			require.NoError(t, err)
			assert.InDelta(t, want, time.Until(retrieve(t, next).Expires), float64(10*time.Second))
			calls := k.STS.Calls()
			assert.Equal(t, time.Hour, calls[0].Duration)
			assert.Equal(t, want, calls[1].Duration)
		})
	}
}

// The SDK's client derives the signing time from the Date of the previous response, which may not come
// from STS.
func TestChainSignsWithCorrectedClock(t *testing.T) {
	t.Parallel()
	everyDate := func(offset time.Duration) func(http.Header) {
		return func(h http.Header) { h.Set("Date", date(offset)) }
	}
	for name, tt := range map[string]struct {
		header func(http.Header)
		skew   time.Duration // STS's clock relative to the node's, after the first half hour
		failed int           // maximum number of attempts before the chain corrects the skew
	}{
		"nothing is changed":                          {},
		"Date in 1980":                                {header: func(h http.Header) { h.Set("Date", "Tue, 01 Jan 1980 00:00:00 GMT") }},
		"Date 2 hours behind":                         {header: everyDate(-2 * time.Hour)},
		"Date 10 minutes behind":                      {header: everyDate(-10 * time.Minute)},
		"Date 10 minutes ahead":                       {header: everyDate(10 * time.Minute)},
		"Date half an hour ahead":                     {header: everyDate(30 * time.Minute)},
		"Date half an hour ahead, from a cache":       {header: func(h http.Header) { everyDate(30 * time.Minute)(h); h.Set("Age", "0") }},
		"Date half an hour ahead, and a skew of 4min": {header: everyDate(30 * time.Minute), skew: 4 * time.Minute},
		"the node's clock is stepped by -8 minutes":   {skew: 8 * time.Minute, failed: 2},
		"the node's clock is stepped by 8 minutes":    {skew: -8 * time.Minute, failed: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, pod, roles := threeAccounts(t)
				p := newProvider(t, pod.Options, func(o *irsa.Options) {
					o.Duration = 12 * time.Hour // only derived Providers call STS after the step
					o.HTTPClient = &http.Client{Transport: middlebox{RoundTripper: k.HTTPClient().Transport, header: tt.header}}
				})
				last := chained(t, p, roles)[2]
				retrieve(t, last)
				time.Sleep(30 * time.Minute)
				k.STS.SetClockSkew(tt.skew)
				k.STS.Fail(irsatest.Throttling, 1) // error responses have wrong Dates too
				for range 3 * 60 {
					time.Sleep(time.Minute)
					retrieve(t, last)
				}
				failed := 0
				for _, call := range k.STS.Calls() {
					if call.Err == "SignatureDoesNotMatch" {
						failed++
					}
				}
				assert.LessOrEqual(t, failed, tt.failed)
			})
		})
	}
}

// mockedChain is a client of both actions. It returns the same output for each AssumeRole.
type mockedChain struct {
	mock
	out *sts.AssumeRoleOutput
}

func (m mockedChain) AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	return m.out, nil
}

func TestProviderExpiryWithMock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pod := newPod(t)
		var expiration time.Time
		client := mockedChain{
			mock: func(*sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
				out := session()
				out.Credentials.Expiration = &expiration
				return out, nil
			},
			out: &sts.AssumeRoleOutput{Credentials: &types.Credentials{
				AccessKeyId: aws.String("ASIACHAIN"), SecretAccessKey: aws.String("secret"), SessionToken: aws.String("session"),
			}},
		}
		p := newProvider(t, pod.Options, func(o *irsa.Options) { o.STS = client })
		next, err := p.AssumeRole("arn:aws:iam::444455556666:role/second")
		require.NoError(t, err)

		err = p.Refresh(t.Context())
		require.ErrorContains(t, err, "the response contains credentials without an expiry")

		// Shorter lifetimes come first, because the Provider keeps credentials with a later expiry.
		for _, tc := range []struct{ given, want time.Duration }{
			{30 * time.Minute, 30 * time.Minute},
			{12 * time.Hour, time.Hour},
			{200 * 365 * 24 * time.Hour, time.Hour},
		} {
			expiration = time.Now().Add(tc.given)
			end := time.Now().Round(0).Add(tc.given)
			client.out.Credentials.Expiration = &end
			for _, p := range []*irsa.Provider{p, next} {
				require.NoError(t, p.Refresh(t.Context()))
				assert.InDelta(t, tc.want-10*time.Second, time.Until(retrieve(t, p).Expires), float64(3*time.Second), "given %v", tc.given)
			}
			assert.Equal(t, end, *client.out.Credentials.Expiration, "the mock's output is not changed")
		}
	})
}
