// Package oidctest compares the token verification of irsatest with that of go-oidc. Both
// accept the same tokens, except for a few differences that are listed with their reasons.
// The package is a separate module, so that the library does not depend on go-oidc.
package oidctest
