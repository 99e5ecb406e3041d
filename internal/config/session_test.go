package config

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/tokenfile"
)

func TestSessionNameFromClaims(t *testing.T) {
	for _, tt := range []struct {
		name   string
		claims tokenfile.Claims
		want   string
	}{
		{"namespace, service account and pod", tokenfile.Claims{Namespace: "shop", ServiceAccount: "cart", Pod: "cart-7d9f8b6c5-x2x4k"}, "shop.cart.cart-7d9f8b6c5-x2x4k"},
		{"token without a pod", tokenfile.Claims{Namespace: "shop", ServiceAccount: "cart"}, "shop.cart"},
		{"token of another issuer", tokenfile.Claims{Subject: "repo:acme/shop:ref:main"}, "repo-acme-shop-ref-main"},
		{"token without claims", tokenfile.Claims{}, "irsakit"},
		{"subject of one character", tokenfile.Claims{Subject: "x"}, "irsakitx"},
		{"non-ASCII characters", tokenfile.Claims{Subject: "käse"}, "k-se"},
		{"64 characters", tokenfile.Claims{Subject: strings.Repeat("x", 64)}, strings.Repeat("x", 64)},
		{"pod name too long: a hash and the end are kept", tokenfile.Claims{Namespace: "a-namespace-with-a-long-name", ServiceAccount: "a-service-account-with-a-long-name", Pod: "cart-7d9f8b6c5-x2x4k"},
			""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := SessionName(tt.claims)
			if strings.Contains(tt.name, "hash") {
				assert.Regexp(t, `^[0-9a-f]{8}-.*long-name\.cart-7d9f8b6c5-x2x4k$`, name)
				assert.Len(t, name, 64)
			} else {
				assert.Equal(t, tt.want, name)
			}
			assert.NoError(t, validateSessionName(name))
			assert.Equal(t, name, SessionName(tt.claims), "the same each time")
		})
	}
}

func TestSessionNameHashDistinguishesLongNames(t *testing.T) {
	pod := strings.Repeat("p", 63)
	assert.NotEqual(t,
		SessionName(tokenfile.Claims{Namespace: "a", ServiceAccount: "cart", Pod: pod}),
		SessionName(tokenfile.Claims{Namespace: "b", ServiceAccount: "cart", Pod: pod}))
}

func FuzzSessionName(f *testing.F) {
	f.Add("shop", "cart", "cart-7d9f8b6c5-x2x4k", "system:serviceaccount:shop:cart")
	f.Add("", "", "", "")
	f.Add("", "", "", "\xff")
	f.Add(strings.Repeat("n", 63), strings.Repeat("s", 253), strings.Repeat("p", 253), "")
	valid := regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
	f.Fuzz(func(t *testing.T, namespace, account, pod, subject string) {
		name := SessionName(tokenfile.Claims{Namespace: namespace, ServiceAccount: account, Pod: pod, Subject: subject})
		require.Regexp(t, valid, name)
	})
}
