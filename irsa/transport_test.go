package irsa_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
)

// A middlebox that has lost its state drops everything sent on existing connections.
func TestTransportDoesNotReuseConnectionsAfterTimeout(t *testing.T) {
	t.Parallel()
	for _, roles := range []int{1, 4, 32} {
		for name, together := range map[string]bool{"one after the other": false, "together": true} {
			t.Run(fmt.Sprintf("%d roles %s", roles, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, pod, tenants := newTenants(t, roles)
					k.STS.SetLatency(time.Second) // each role then needs a connection
					n := newNetwork(t, k)
					var seen recorder
					p := newPool(t, pod, func(o *irsa.PoolOptions) {
						o.Endpoint, o.HTTPClient = "http://127.0.0.1", n.client()
						seen.options(&o.Options)
					})
					refreshAll(t, p, tenants[:1], true) // after the first response, all slots are available
					refreshAll(t, p, tenants, true)
					require.Equal(t, roles, n.open())

					n.swallow()
					refreshAll(t, p, tenants, together)
					assert.LessOrEqual(t, n.open(), roles)
					failed := map[string]int{}
					synctest.Wait()
					seen.mu.Lock()
					defer seen.mu.Unlock()
					for _, event := range seen.events {
						if event.Kind == irsa.EventRefreshFailed {
							failed[event.Status.RoleARN]++
						}
					}
					assert.NotEmpty(t, failed)
					for role, n := range failed {
						assert.Equal(t, 1, n, role)
					}
					require.NoError(t, p.Close())
					assert.Zero(t, n.open())
				})
			})
		}
	}
}

// refreshAll refreshes the roles until all have new credentials.
func refreshAll(t *testing.T, p *irsa.Pool, roles []irsa.RoleOptions, together bool) {
	var callers sync.WaitGroup
	for _, role := range roles {
		callers.Go(func() {
			provider := pooled(t, p, role)
			for n := 0; provider.Refresh(t.Context()) != nil && assert.Less(t, n, 100); n++ {
				time.Sleep(time.Second)
			}
		})
		if !together {
			callers.Wait()
		}
	}
	callers.Wait()
}

// The library must not close the connections of an *http.Client that belongs to the
// application, because other requests use them. Each dead connection fails one request.
func TestTransportOfApplicationRecoversFromDeadConnections(t *testing.T) {
	for _, roles := range []int{1, 4, 32} {
		synctest.Test(t, func(t *testing.T) {
			k, pod, tenants := newTenants(t, roles)
			k.STS.SetLatency(time.Second)
			n := newNetwork(t, k)
			client := &http.Client{Transport: n.client().GetTransport()}
			defer client.CloseIdleConnections()
			p := newPool(t, pod, func(o *irsa.PoolOptions) { o.Endpoint, o.HTTPClient = "http://127.0.0.1", client })
			refreshAll(t, p, tenants, true)
			n.swallow()
			start := time.Now()
			refreshAll(t, p, tenants, true)
			assert.Less(t, time.Since(start), time.Duration(roles+1)*12*time.Second)
			require.NoError(t, p.Close())
			assert.NotZero(t, n.open(), "the application's connections stay open")
		})
	}
}

func TestTransportSpeaksHTTP1(t *testing.T) {
	var protocols sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols.Store(r.Proto, true) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	_, ok := protocols.LoadAndDelete("HTTP/2.0")
	require.True(t, ok, "the application's client speaks HTTP/2")

	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Endpoint, o.HTTPClient = server.URL, client })
	require.ErrorContains(t, p.Refresh(t.Context()), "the response contains no credentials")
	_, ok = protocols.Load("HTTP/1.1")
	assert.True(t, ok)
	_, ok = protocols.Load("HTTP/2.0")
	assert.False(t, ok)
}

func TestTransportBoundsHeaders(t *testing.T) {
	for size, ok := range map[int]bool{48 << 10: true, 80 << 10: false, 11 << 20: false} {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			n := newNetwork(t, k)
			sts := n.server.Handler
			n.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Padding", strings.Repeat("x", size))
				sts.ServeHTTP(w, r)
			})
			p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Endpoint, o.HTTPClient = "http://127.0.0.1", n.client() })
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := p.Refresh(t.Context())
			runtime.ReadMemStats(&after)
			if ok {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, irsa.ErrUnavailable)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size+4<<20), "little more than the server's own copies")
		})
	}
}

// If a server switches protocols, the connection stays open and is not closed when the context is
// done.
func TestTransportDoesNotReadBodyOfHTTP101(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, pod := newPod(t)
		n := newNetwork(t, k)
		sts := n.server.Handler
		var kept []net.Conn
		n.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			assert.NoError(t, err)
			kept = append(kept, c)
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		})
		set := func(o *irsa.Options) { o.Endpoint, o.HTTPClient = "http://127.0.0.1", n.client() }
		begin := time.Now()
		report := irsa.Diagnose(t.Context(), pod.Options, set)
		assert.Equal(t, "warned", statusOf(report, "answer"))
		assert.Equal(t, "failed", statusOf(report, "exchange"))
		p := newProvider(t, pod.Options, set)
		require.ErrorContains(t, p.Refresh(t.Context()), "HTTP 101")
		assert.Zero(t, time.Since(begin))
		assert.Zero(t, n.open(), "the connections are closed")
		n.server.Handler = sts
		require.NoError(t, p.Refresh(t.Context()))
		for _, c := range kept {
			_ = c.Close()
		}
	})
}

// follower is a custom HTTP client that follows redirects.
type follower struct{ client http.Client }

func (f *follower) Do(r *http.Request) (*http.Response, error) { return f.client.Do(r) }

// wrapper is a custom STS client that wraps the SDK's.
type wrapper struct {
	stscreds.AssumeRoleWithWebIdentityAPIClient
}

func TestTransportDoesNotFollowRedirects(t *testing.T) {
	var astray atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	defer elsewhere.Close()
	var status int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) }))
	defer server.Close()
	client := func(c aws.HTTPClient) func(*irsa.Options) {
		return func(o *irsa.Options) { o.HTTPClient = c }
	}
	api := func(c aws.HTTPClient) *sts.Client {
		return sts.New(sts.Options{Region: "us-west-2", BaseEndpoint: &server.URL, HTTPClient: c})
	}
	for name, tt := range map[string]struct {
		options func(*irsa.Options)
		travels bool
	}{
		"no client":                             {options: client(nil)},
		"an http.Client":                        {options: client(&http.Client{})},
		"the SDK's client":                      {options: client(awshttp.NewBuildableClient())},
		"an STS client":                         {options: func(o *irsa.Options) { o.STS = api(nil) }},
		"an STS client with an http.Client":     {options: func(o *irsa.Options) { o.STS = api(&http.Client{}) }},
		"a wrapped STS client of an HTTPClient": {options: func(o *irsa.Options) { o.STS = wrapper{api(&http.Client{})} }},
		"a wrapped STS client":                  {options: func(o *irsa.Options) { o.STS = wrapper{api(nil)} }, travels: true},
		"an unknown client":                     {options: client(&follower{}), travels: true},
		"an STS client with an unknown client":  {options: func(o *irsa.Options) { o.STS = api(&follower{}) }, travels: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, status = range []int{301, 302, 303, 307, 308} {
				astray.Store(0)
				_, pod := newPod(t)
				p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Endpoint = server.URL }, tt.options)
				err := p.Refresh(t.Context())
				require.ErrorIs(t, err, irsa.ErrUnavailable)
				if tt.travels && astray.Load() > 0 {
					require.ErrorContains(t, err, "followed a redirect", "HTTP %d", status)
				} else {
					require.Zero(t, astray.Load(), "HTTP %d", status)
				}
			}
		})
	}
}

func TestProviderDoesNotKeepConnections(t *testing.T) {
	providers := testsize.Choose(60, 300, 300)
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			k, pod := newPod(t)
			n := newNetwork(t, k)
			synctest.Wait()
			before := goroutines()
			func() {
				for range providers {
					p, err := irsa.New(pod.Options, func(o *irsa.Options) { o.Endpoint, o.HTTPClient = "http://127.0.0.1", n.client() })
					require.NoError(t, err)
					require.NoError(t, p.Refresh(t.Context()))
					if closed {
						require.NoError(t, p.Close())
					}
				}
			}()
			synctest.Wait()
			assert.Zero(t, n.open(), "each request has a connection of its own")
			if !closed {
				for range 12 {
					runtime.GC()
					time.Sleep(5 * time.Second)
				}
			}
			synctest.Wait()
			assert.LessOrEqual(t, goroutines(), before)
		})
	}
}
