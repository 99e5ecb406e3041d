package tokenfile_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

const placeholder = "[web identity token redacted]"

// traces returns each form in which any eight consecutive bytes of text could be printed.
func traces(text string) []string {
	all := []string{base64.StdEncoding.EncodeToString([]byte(text))[:16]}
	for i := 0; i+8 <= len(text); i++ {
		part := []byte(text[i : i+8])
		digits := hex.EncodeToString(part)
		all = append(all, string(part), digits, strings.ToUpper(digits),
			fmt.Sprintf("% x", part), fmt.Sprintf("% X", part), fmt.Sprintf("%# x", part), fmt.Sprintf("%# X", part),
			strings.Trim(fmt.Sprintf("%d", part), "[]"), strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", part), "[]byte"), "{}"))
	}
	return all
}

// holders returns values that contain the token and might be printed by a program.
func holders(token tokenfile.Token) map[string]any {
	type public struct{ Token tokenfile.Token }
	type private struct{ token tokenfile.Token }
	type privatePointer struct{ token *tokenfile.Token }
	type privateSlice struct{ tokens []tokenfile.Token }
	type privateMap struct{ tokens map[string]*tokenfile.Token }
	type private2 struct{ token any }
	type embedded struct{ tokenfile.Token }
	pointer := &token
	return map[string]any{
		"a token":                              token,
		"a pointer":                            pointer,
		"a pointer to a pointer":               &pointer,
		"an exported field":                    public{token},
		"a pointer to an exported field":       &public{token},
		"an unexported field":                  private{token},
		"a pointer to an unexported field":     &private{token},
		"an unexported pointer":                privatePointer{pointer},
		"a pointer to an unexported pointer":   &privatePointer{pointer},
		"an unexported slice":                  privateSlice{[]tokenfile.Token{token}},
		"an unexported map":                    privateMap{map[string]*tokenfile.Token{"k": pointer}},
		"an unexported interface":              private2{token},
		"a pointer in an unexported interface": &private2{pointer},
		"an embedded token":                    embedded{token},
		"a slice":                              []tokenfile.Token{token},
		"a slice of pointers":                  []*tokenfile.Token{pointer},
		"a slice of anything":                  []any{token, pointer, private{token}},
		"an array":                             [1]tokenfile.Token{token},
		"a map":                                map[string]tokenfile.Token{"k": token},
		"a map of pointers":                    map[string]*tokenfile.Token{"k": pointer},
		"a map of structs":                     map[string]private{"k": {token}},
		"an error":                             fmt.Errorf("exchanging %v: %w", token, errors.New("refused")),
	}
}

func TestTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	raw := withClaims(`{"exp":1767312000}`)
	token, err := tokenfile.Parse(raw)
	require.NoError(t, err)
	secret := traces(raw)
	checked := map[string]bool{}
	check := func(t *testing.T, output string) {
		t.Helper()
		if checked[output] {
			return
		}
		checked[output] = true
		for _, trace := range secret {
			if strings.Contains(output, trace) {
				require.FailNow(t, "it prints the token")
			}
		}
	}
	for name, v := range holders(token) {
		t.Run(name, func(t *testing.T) {
			for _, verb := range "vsqxXdTpbcoOUteEfFgGwz" {
				for _, flags := range []string{"", "+", "#", " ", "# ", "0", "-", "+#", "200", "-200", ".300", ".3"} {
					check(t, fmt.Sprintf("%"+flags+string(verb), v))
				}
			}
			check(t, fmt.Sprint(v)+fmt.Sprintln(v)+fmt.Errorf("%v %w", v, errors.New("refused")).Error())
			for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
				b, _ := encode(v) // encoding/xml does not support maps
				check(t, string(b))
			}
			var out bytes.Buffer
			for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
				logger := slog.New(handler)
				logger.Info("message", "value", v, slog.Group("group", "value", v))
				logger.With("value", v).WithGroup("group").Info(fmt.Sprint(v), slog.Any("value", []any{v}))
			}
			log.New(&out, "", log.Lshortfile).Print(v)
			require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{printf "%#v" .}}`)).Execute(&out, v))
			check(t, out.String())
		})
	}
}

func TestTokenPrintsPlaceholder(t *testing.T) {
	token, err := tokenfile.Parse(tokenFor("s"))
	require.NoError(t, err)
	for _, v := range []any{token, &token} {
		for _, verb := range "vsqxXd" {
			assert.Equal(t, placeholder, fmt.Sprintf("%"+string(verb), v))
			assert.Equal(t, placeholder, fmt.Sprintf("%+#20"+string(verb), v))
		}
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `"`+placeholder+`"`, string(text))
	}
	assert.Equal(t, "map[k:["+placeholder+"]]", fmt.Sprint(map[string][]tokenfile.Token{"k": {token}}))
	assert.Equal(t, placeholder, token.String())
	assert.Equal(t, placeholder, token.GoString())
	assert.Equal(t, placeholder, token.LogValue().String())
	text, err := token.MarshalText()
	require.NoError(t, err)
	assert.Equal(t, placeholder, string(text))
	assert.Equal(t, placeholder, fmt.Sprint(tokenfile.Token{}))
}

// A program may mistakenly pass a variable that contains the token instead of its path.
func TestReadHidesTokenPassedAsPath(t *testing.T) {
	text := tokenFor("s")
	for _, path := range []string{text, text + "\n", " " + text, "/var/run/secrets/" + text} {
		_, err := tokenfile.Read(path)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.EqualError(t, err, "tokenfile: the path contains a token: "+fs.ErrNotExist.Error())
	}
}
