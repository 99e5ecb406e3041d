package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testenv"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// TestMain runs the tests without the settings of the machine.
func TestMain(m *testing.M) {
	testenv.Clear()
	os.Exit(m.Run())
}

// inMemory is a transport that calls the store directly.
type inMemory struct{ *store }

func (s inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	s.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// world is a pod that uses minio-go.
type world struct {
	kit    *irsatest.Cluster
	pod    *irsatest.Pod
	irsa   *irsa.Provider
	store  *store
	client *minio.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kit := irsatest.New(t)
	sa := kit.ServiceAccount("shop", "receipts")
	pod := kit.Pod(sa, kit.Role("receipts", irsatest.Trust(sa)), func(o *irsatest.PodOptions) { o.AutoRotate = true })
	p, err := irsa.New(pod.Options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	s := &store{sts: kit.STS, objects: map[string][]byte{}}
	client, err := newClient(p, "s3.example", inMemory{s})
	require.NoError(t, err)
	return &world{kit, pod, p, s, client}
}

func (w *world) upload(ctx context.Context) error {
	_, err := w.client.PutObject(ctx, "receipts", "1.txt", strings.NewReader("thank you"), 9, minio.PutObjectOptions{})
	return err
}

func TestClientNeverSendsUnsignedRequest(t *testing.T) {
	for name, c := range map[string]struct {
		at     map[int]func(*world) // keyed by minute
		failed func(minute int) bool
	}{
		"token rotations": {
			failed: func(int) bool { return false },
		},
		"outage within the lifetime": {
			at:     map[int]func(*world){46: func(w *world) { w.kit.STS.Down() }, 56: func(w *world) { w.kit.STS.Up() }},
			failed: func(int) bool { return false },
		},
		"outage beyond the expiry": {
			at:     map[int]func(*world){30: func(w *world) { w.kit.STS.Down() }, 90: func(w *world) { w.kit.STS.Up() }},
			failed: func(minute int) bool { return minute >= 60 && minute < 90 },
		},
		"role that is not allowed": {
			at:     map[int]func(*world){0: func(w *world) { w.kit.STS.Fail(irsatest.AccessDenied, -1) }},
			failed: func(int) bool { return true },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for minute := range 180 {
					if change := c.at[minute]; change != nil {
						change(w)
					}
					err := w.upload(t.Context())
					assert.Equal(t, c.failed(minute), err != nil, "minute %d: %v", minute, err)
					time.Sleep(time.Minute)
				}
				assert.Zero(t, w.store.unsigned.Load())
			})
		})
	}
}

// A minio-go chain ignores the error and sends the request unsigned.
func TestChainCredentialsSendUnsignedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kit.STS.Fail(irsatest.AccessDenied, -1)
		chain := credentials.NewChainCredentials([]credentials.Provider{&provider{w.irsa}})
		var err error
		w.client, err = minio.New("s3.example", &minio.Options{Creds: chain, Secure: true, Region: "us-west-2", Transport: inMemory{w.store}, MaxRetries: 1})
		require.NoError(t, err)

		require.Error(t, w.upload(t.Context()))

		assert.NotZero(t, w.store.unsigned.Load())
	})
}

func TestCredentialsMatchProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		creds := newCredentials(w.irsa)
		for range 2 {
			want, err := w.irsa.Retrieve(t.Context())
			require.NoError(t, err)
			got, err := creds.GetWithContext(nil)
			require.NoError(t, err)
			assert.Equal(t, credentials.Value{
				AccessKeyID: want.AccessKeyID, SecretAccessKey: want.SecretAccessKey, SessionToken: want.SessionToken,
				Expiration: want.Expires, SignerType: credentials.SignatureV4,
			}, got)
			time.Sleep(time.Second)
			require.NoError(t, w.irsa.Refresh(t.Context()))
		}
	})
}

func TestCredentialsWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.kit.STS.Fail(irsatest.Hang, -1)
		creds, start := newCredentials(w.irsa), time.Now()

		_, err := creds.GetWithContext(nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, maxWait, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = creds.GetWithContext(&credentials.CredContext{Context: ctx})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, maxWait+time.Second, time.Since(start))
		w.kit.STS.Recover()
	})
}

func TestRepeatPrintsResultEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var out bytes.Buffer

		repeat(ctx, &out, w.client, "receipts")

		assert.Equal(t, "ok\nok\nok\n", out.String())
		assert.Zero(t, w.store.unsigned.Load())
	})
}

func TestRunPrintsREADMEOutput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out), out.String())
	assert.Regexp(t, `(?s)first upload +ok\n.*rotation +ok\n.*valid +ok\n.*expired +irsa: .*\n.*again +ok\n\nS3 received 4 signed and 0 unsigned requests\.`, out.String())
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "```text\n"+out.String()+"```")
}
