package configtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/davecgh/go-spew/spew"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
	"github.com/irsakit/irsakit/tokenfile"
)

// requireWithout checks that text does not contain 12 consecutive characters of the token's
// payload or signature.
func requireWithout(t *testing.T, text, token string) {
	t.Helper()
	require.NotEmpty(t, text)
	for _, part := range strings.Split(token, ".")[1:] {
		for i := 0; i+12 <= len(part); i++ {
			require.NotContains(t, text, part[i:i+12])
		}
	}
}

// everything contains go-cmp options to compare and print unexported fields.
var everything = cmp.Options{cmp.AllowUnexported(irsa.Error{}), cmp.Comparer(func(a, b error) bool { return errors.Is(a, b) })}

func TestTokenIsNotPrintedByReflection(t *testing.T) {
	k := irsatest.New(t)
	token, other := k.ServiceAccount("shop", "cart").Token(), k.ServiceAccount("shop", "search").Token()
	one, err := tokenfile.Parse(token)
	require.NoError(t, err)
	two, err := tokenfile.Parse(other)
	require.NoError(t, err)
	requireWithout(t, spew.Sdump(one, &one, struct{ token tokenfile.Token }{one}), token)
	requireWithout(t, (&spew.ConfigState{DisableMethods: true, Indent: " "}).Sdump(one, &one), token)
	requireWithout(t, cmp.Diff(one, two, cmp.Exporter(func(reflect.Type) bool { return true })), token)
}

func TestErrorPrintedByReflectionContainsNoToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		w.Header().Set("X-Amzn-Requestid", form.Get("WebIdentityToken"))
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>", form.Get("WebIdentityToken"))
	}))
	defer server.Close()
	_, pod := newPod(t)
	p := newProvider(t, pod.Options, func(o *irsa.Options) { o.Endpoint, o.HTTPClient = server.URL, nil })
	err := p.Refresh(t.Context())
	var typed *irsa.Error
	require.ErrorAs(t, err, &typed)
	requireWithout(t, spew.Sdump(err), pod.Token())
	requireWithout(t, (&spew.ConfigState{DisableMethods: true, Indent: " "}).Sdump(err), pod.Token())
	requireWithout(t, cmp.Diff(&irsa.Error{}, typed, everything), pod.Token())
}
