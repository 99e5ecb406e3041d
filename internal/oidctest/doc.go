// Package oidctest compares the test kit's verification of tokens with go-oidc's: what one
// accepts the other accepts, but for a few differences that are listed with their reasons.
// It is a module of its own, so that the library does not depend on go-oidc.
package oidctest
