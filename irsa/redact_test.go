package irsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/test/testsize"
	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

func TestErrorLogAndSpanRedactRepeatedSecrets(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"AssumeRoleWithWebIdentity", "AssumeRole"} {
		stage := newStage(t)
		for name, peer := range echoServers {
			t.Run(action+" "+name, func(t *testing.T) {
				for i, status := range statusesFor(name)[:testsize.Choose(2, 4, 8)] {
					peer := peer
					peer.action, peer.status = action, status
					stage.check(t, peer, true)
					if i < testsize.Choose(0, 2, 2) {
						stage.check(t, peer, false)
					}
				}
			})
		}
	}
}

// stage is a cluster with a pod and a chain of two roles.
type stage struct {
	k      *irsatest.Cluster
	pod    *irsatest.Pod
	second *irsatest.Role
}

func newStage(t testing.TB) *stage {
	k := newCluster(t)
	sa := k.ServiceAccount("shop", "cart")
	first := k.Role("first", irsatest.Trust(sa))
	return &stage{k, k.Pod(sa, first), k.Role("second", irsatest.Trust(first))}
}

// check makes an exchange with a peer that repeats secrets and searches all output for them. It
// uses a custom STS client if own is set.
func (s *stage) check(t *testing.T, peer echoServer, own bool) {
	t.Helper()
	var out output
	peer.pass = s.k.HTTPClient().Transport
	p := newProvider(t, s.pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: &peer}
		o.TracerProvider = printedSpans{&out}
		o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Observe = func(e irsa.Event) { fmt.Fprintf(&out, "%+v\n", e) }
		if own {
			o.STS = sts.New(sts.Options{
				Region: "us-west-2", HTTPClient: o.HTTPClient, TracerProvider: o.TracerProvider,
				Logger: logging.NewStandardLogger(&out), ClientLogMode: ^aws.ClientLogMode(0),
			})
		}
	})
	derived, err := p.AssumeRole(s.second.ARN())
	require.NoError(t, err)
	secrets := tokenParts(s.pod.Token())
	if peer.action == "AssumeRole" {
		creds := retrieve(t, p)
		secrets = append(secrets, creds.SecretAccessKey, creds.SessionToken)
		p = derived
	}
	err = p.Refresh(t.Context())
	out.print(err)
	if err != nil {
		out.diff(err)
	}
	out.print(p.Status())
	require.NoError(t, p.Close())
	if run := leaked(out.String()+byteLists(out.String()), secrets); run != "" {
		require.Fail(t, "a secret is printed", "HTTP %d, own client %t: %q in\n%s", peer.status, own, run, &out)
	}
}

// diff prints two different errors as testify does, which shows their fields by reflection.
func (o *output) diff(err error) {
	var typed *irsa.Error
	if errors.As(err, &typed) {
		assert.Equal(failures{o}, irsa.Error{}, *typed)
		assert.Equal(failures{o}, &irsa.Error{}, typed)
	}
}

// failures is a testing.T that prints failures.
type failures struct{ io.Writer }

func (f failures) Errorf(format string, args ...any) { fmt.Fprintf(f, format, args...) }

// leaked returns 12 consecutive characters of a secret that occur in text, or "" if it contains no
// such characters.
func leaked(text string, secrets []string) string {
	const run = 12
	runs := map[string]bool{}
	for _, secret := range secrets {
		for i := 0; i+run <= len(secret); i++ {
			runs[secret[i:i+run]] = true
		}
	}
	for i := 0; i+run <= len(text); i++ {
		if runs[text[i:i+run]] {
			return text[i : i+run]
		}
	}
	return ""
}

func FuzzRedaction(f *testing.F) {
	for _, peer := range echoServers {
		for _, status := range []int{403, 200}[:testsize.Choose(1, 2, 2)] {
			header, _ := json.Marshal(peer.header)
			f.Add(uint16(status-200), header, peer.body, uint16(0), uint16(1000), uint8(0), "")
			f.Add(uint16(status-200), header, peer.body, uint16(3), uint16(33), uint8(7), "&#10;")
		}
	}
	stage := newStage(f)
	f.Fuzz(func(t *testing.T, status uint16, header []byte, body string, from, to uint16, every uint8, between string) {
		peer := echoServer{action: "AssumeRoleWithWebIdentity", status: 200 + int(status%400), body: body}
		_ = json.Unmarshal(header, &peer.header)
		peer.change = func(secret string) string {
			from := int(from) % len(secret)
			secret = secret[from:min(len(secret), from+int(to))]
			if every > 0 {
				var b strings.Builder
				for part := range slices.Chunk([]byte(secret), int(every)) {
					b.Write(part)
					b.WriteString(between)
				}
				secret = b.String()
			}
			return secret
		}
		stage.check(t, peer, false)
	})
}

// The errors and panics of a token source can contain the token.
func TestErrorOfTokenSourceOmitsToken(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]func(token string) string{
		"whole":   func(token string) string { return "cannot use " + token + " here" },
		"cut":     func(token string) string { return "cannot use " + token[:len(token)/2] },
		"quoted":  func(token string) string { return fmt.Sprintf("cannot use %q", "Bearer "+token) },
		"payload": func(token string) string { return "payload " + strings.Split(token, ".")[1] },
		"wrapped": func(token string) string {
			var b strings.Builder
			for line := range slices.Chunk([]byte(token), 64) {
				fmt.Fprintf(&b, "%s\n  ", line)
			}
			return b.String()
		},
	} {
		for _, panics := range []bool{false, true} {
			for _, known := range []bool{false, true} {
				inBubble(t, fmt.Sprintf("%s, panics %t, known %t", name, panics, known), func(t *testing.T) {
					var out output
					_, pod := newPod(t)
					calls := 0
					p := newProvider(t, pod.Options, func(o *irsa.Options) {
						o.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
						o.Observe = func(e irsa.Event) { fmt.Fprintf(&out, "%+v\n", e) }
						o.TokenFile, o.Token = "", irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) {
							if calls++; known && calls == 1 {
								return tokenfile.Parse(pod.Token())
							}
							err := fmt.Errorf("%s: %w", text(pod.Token()), context.DeadlineExceeded)
							if panics {
								panic(err)
							}
							return tokenfile.Token{}, err
						})
					})
					if known {
						retrieve(t, p)
					}
					err := p.Refresh(t.Context())
					require.ErrorIs(t, err, irsa.ErrTokenFile)
					require.Contains(t, fmt.Sprintf("%+v", err), "[redacted]")
					if !panics {
						require.ErrorIs(t, err, context.DeadlineExceeded)
					}
					out.print(err)
					out.diff(err)
					require.NoError(t, p.Close())
					require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
				})
			}
		}
	}
}

func TestErrorOfTokenSourceIsBounded(t *testing.T) {
	huge := strings.Repeat("no token ", 1<<20)
	for _, panics := range []bool{false, true} {
		inBubble(t, fmt.Sprintf("panics %t", panics), func(t *testing.T) {
			_, pod := newPod(t)
			p := newProvider(t, pod.Options, func(o *irsa.Options) {
				o.TokenFile, o.Token = "", irsa.TokenFunc("test", func(context.Context) (tokenfile.Token, error) {
					if panics {
						panic(huge)
					}
					return tokenfile.Token{}, fmt.Errorf("%s: %w", huge, context.DeadlineExceeded)
				})
			})
			err := p.Refresh(t.Context())
			require.ErrorIs(t, err, irsa.ErrTokenFile)
			assert.Less(t, len(err.Error()), 4<<10)
			assert.Equal(t, !panics, errors.Is(err, context.DeadlineExceeded))
		})
	}
}

func TestErrorOfPanickingClientOmitsToken(t *testing.T) {
	var out output
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			panic(string(body))
		})}
	})
	err := p.Refresh(t.Context())
	require.ErrorContains(t, err, "panicked")
	out.print(err)
	out.diff(err)
	require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
}

func TestTokenIsNotPrintedInDiffs(t *testing.T) {
	var out output
	_, pod := newPod(t)
	one, err := tokenfile.Parse(pod.Token())
	require.NoError(t, err)
	other, err := tokenfile.Parse(pod.Token() + "AAAA")
	require.NoError(t, err)
	again, err := tokenfile.Parse(pod.Token())
	require.NoError(t, err)
	assert.Equal(failures{&out}, one, other)
	assert.Equal(failures{&out}, &one, &other)
	assert.Equal(failures{&out}, []tokenfile.Token{one}, []tokenfile.Token{other})
	assert.Equal(failures{&out}, struct{ token tokenfile.Token }{one}, struct{ token tokenfile.Token }{other})
	require.NotEmpty(t, out.String())
	require.Empty(t, leaked(out.String(), tokenParts(pod.Token())))
	assert.Equal(t, one, again, "equal tokens are equal")
}

// The session tokens of MinIO and Dex look like web identity tokens.
func TestProviderAcceptsJWTAsSessionToken(t *testing.T) {
	_, pod := newPod(t)
	var document bytes.Buffer
	require.NoError(t, xml.EscapeText(&document, []byte(pod.Token())))
	expiry := "<Expiration>2099-01-01T00:00:00Z</Expiration>"
	body := replyBody("AssumeRoleWithWebIdentity", "<Credentials><AccessKeyId>AK</AccessKeyId><SecretAccessKey>sk</SecretAccessKey><SessionToken>"+document.String()+"</SessionToken>"+expiry+"</Credentials>")
	p := newProvider(t, pod.Options, func(o *irsa.Options) {
		o.HTTPClient = &http.Client{Transport: answer{http.StatusOK, func(*http.Request) string { return body }}}
	})
	assert.Equal(t, pod.Token(), retrieve(t, p).SessionToken)
}

// inBubble runs a subtest in simulated time.
func inBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}
