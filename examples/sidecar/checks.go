package main

import (
	"net/http"
	"slices"
	"strings"
)

// Reasons for rejecting a request. They are also label values.
const (
	wrongHost        = "wrong_host"
	proxied          = "proxied"
	tokenUnavailable = "token_unavailable"
	noToken          = "no_token"
	wrongToken       = "wrong_token"
	wrongPath        = "wrong_path"
	hasBody          = "has_body"
	wrongMethod      = "wrong_method"
)

// reasons lists all reasons.
var reasons = []string{wrongHost, proxied, tokenUnavailable, noToken, wrongToken, wrongPath, hasBody, wrongMethod}

// rejection describes why a request is rejected and how to respond.
type rejection struct {
	reason  string
	status  int
	code    string
	message string
}

// check returns nil if the request may have the credentials. The token is checked before anything
// that would reveal more about the endpoint to a client without it.
func (e *endpoint) check(r *http.Request) *rejection {
	// With DNS rebinding, a web page's host name can resolve to the loopback address.
	if !slices.Contains(e.hosts, r.Host) {
		return &rejection{wrongHost, http.StatusForbidden, "Forbidden", "the Host header is not a loopback address of this endpoint"}
	}
	if isProxied(r) {
		return &rejection{proxied, http.StatusForbidden, "Forbidden", "the request was forwarded by a proxy; send it directly"}
	}
	if rejected := e.checkToken(r.Header.Values("Authorization")); rejected != nil {
		return rejected
	}
	switch {
	case r.URL.Path != path:
		return &rejection{wrongPath, http.StatusNotFound, "NotFound", "the only path is " + path}
	case r.ContentLength != 0:
		return &rejection{hasBody, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the request has a body"}
	case r.Method != http.MethodGet:
		return &rejection{wrongMethod, http.StatusMethodNotAllowed, "MethodNotAllowed", "the only method is GET"}
	default:
		return nil
	}
}

// checkToken checks the values of the Authorization header.
func (e *endpoint) checkToken(values []string) *rejection {
	const message = "the header Authorization must be the content of the file AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
	got := strings.Join(values, ", ")
	if got == "" {
		return &rejection{noToken, http.StatusUnauthorized, "Unauthorized", message}
	}
	allowed, err := e.authorization.allows(got)
	e.logToken(err)
	switch {
	case err != nil:
		return &rejection{tokenUnavailable, http.StatusInternalServerError, "AuthorizationTokenUnavailable", "the authorization token is not usable; see the log of the sidecar"}
	case !allowed:
		return &rejection{wrongToken, http.StatusUnauthorized, "Unauthorized", message}
	default:
		return nil
	}
}

// isProxied reports whether the request was sent through or intended for a proxy. A proxy on the
// pod's network could make the endpoint available to other pods.
func isProxied(r *http.Request) bool {
	if r.URL.IsAbs() || r.Method == http.MethodConnect {
		return true
	}
	for name := range r.Header {
		if slices.Contains(proxyHeaders, name) || strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-") {
			return true
		}
	}
	return false
}

// proxyHeaders are the canonical names of headers added by proxies and load balancers.
var proxyHeaders = []string{
	"Cdn-Loop", "Cf-Connecting-Ip", "Client-Ip", "Fastly-Client-Ip", "Forwarded", "Forwarded-For", "Max-Forwards",
	"Proxy-Authorization", "Proxy-Connection", "True-Client-Ip", "Via", "X-Client-Ip", "X-Cluster-Client-Ip",
	"X-Forwarded", "X-Original-Forwarded-For", "X-Original-Host", "X-Original-Url", "X-Proxyuser-Ip", "X-Real-Ip",
}
