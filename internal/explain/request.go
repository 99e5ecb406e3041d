package explain

import (
	"errors"
	"fmt"
	"time"
)

// The causes of failures that are not errors of STS or of the network.
var (
	ErrNotSTS    = errors.New("it is not from STS")
	ErrClock     = errors.New("the node's clock may be wrong")
	ErrNoRegion  = errors.New("the client of Options.STS has no region")
	ErrCleartext = errors.New("the connection is not encrypted")

	ErrProxyAddress = errors.New("invalid proxy address in the environment")
)

// RequestError is the error of a failed request to STS. It contains no secrets.
type RequestError struct {
	Status     int    // 0 if there was no response
	Code       string // empty if the response has none
	Message    string
	RequestID  string
	RetryAfter time.Duration // the delay that the server requests
	Text       string        // the library's own, except for Code, Message and errors of the network
	Err        error
}

// Error returns the text.
func (e *RequestError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// ProxyError is the error for a proxy that rejects a CONNECT request.
type ProxyError struct{ Host, Status string }

// Error returns a text that names the proxy.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy %s responded with %s", e.Host, e.Status)
}

// PermanentError is an error that requires a change of the configuration.
type PermanentError struct{ Err error }

// Error returns the text of Err.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PermanentError) Unwrap() error { return e.Err }

// TokenError is the error of an attempt without a token.
type TokenError struct {
	Err  error
	File File // the token file, examined when the read failed
}

// Error returns the text of the cause.
func (e *TokenError) Error() string { return e.Err.Error() }

// Is reports whether target is ErrTokenFile.
func (e *TokenError) Is(target error) bool { return target == ErrTokenFile }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }
