package shop_test

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

func TestProgramUsesPodEnvironment(t *testing.T) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))

	child := exec.CommandContext(t.Context(), os.Args[0]) // the program under test; here the test binary itself, see TestMain
	child.Env = append(pod.Environ(), "SHOP_ORDER=4711",
		"HOME="+t.TempDir(),              // without the developer's profiles
		"HTTPS_PROXY=http://127.0.0.1:1", // without access to AWS
	)
	child.Stderr = t.Output()
	out, err := child.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "https://shop-uploads.s3.us-west-2.amazonaws.com/4711?")

	require.Len(t, k.STS.Calls(), 1)
	call := k.STS.Calls()[0]
	assert.Empty(t, call.Err, call.Reason)
	assert.Equal(t, sa.Subject(), call.Subject)
}

// The test sends the request in testdata/exchange.sh without curl.
func TestShellScriptRequestSucceeds(t *testing.T) {
	k := irsatest.New(t, func(o *irsatest.Options) { o.Loopback = true })
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("uploader", irsatest.Trust(sa)))
	pod.Setenv()

	script, err := os.ReadFile("testdata/exchange.sh")
	require.NoError(t, err)
	form := url.Values{}
	for _, match := range regexp.MustCompile(`--data-urlencode "?([^"\s]+)`).FindAllStringSubmatch(string(script), -1) {
		name, value, inline := strings.Cut(os.ExpandEnv(match[1]), "=")
		if !inline {
			parameter, file, _ := strings.Cut(name, "@")
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			name, value = parameter, string(raw)
		}
		form.Set(name, value)
	}
	require.Len(t, form, 5)

	response, err := http.PostForm(os.Getenv("AWS_ENDPOINT_URL_STS"), form)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var reply struct {
		Subject string `xml:"AssumeRoleWithWebIdentityResult>SubjectFromWebIdentityToken"`
	}
	require.NoError(t, xml.NewDecoder(response.Body).Decode(&reply))
	assert.Equal(t, "system:serviceaccount:shop:cart", reply.Subject)
}
