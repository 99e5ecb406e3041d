package explain

import (
	"errors"
	"fmt"
	"time"
)

// Causes of failures that are not STS or network errors.
var (
	ErrNotSTS    = errors.New("it is not from STS")
	ErrClock     = errors.New("the node's clock may be wrong")
	ErrNoRegion  = errors.New("the client of Options.STS has no region")
	ErrCleartext = errors.New("the connection is not encrypted")

	ErrProxyAddress = errors.New("invalid proxy address in the environment")
	ErrPanic        = errors.New("panicked") // code of the program, during a request
	ErrOwnClient    = errors.New("the program's STS client rejected the response")
)

// RequestError is the error of a failed request to STS. It contains no secrets.
type RequestError struct {
	Status     int    // 0 if there was no response
	Code       string // empty if the response has no code
	Message    string
	RequestID  string
	RetryAfter time.Duration // the delay requested by the server
	Text       string        // the library's own text, apart from Code, Message and network errors
	Err        error
}

// Error returns the text.
func (e *RequestError) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// ProxyError reports that a proxy rejected a CONNECT request.
type ProxyError struct{ Host, Status string }

// Error returns a message that names the proxy.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy %s responded with %s", e.Host, e.Status)
}

// PermanentError is an error that requires a configuration change.
type PermanentError struct{ Err error }

// Error returns the text of Err.
func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *PermanentError) Unwrap() error { return e.Err }

// TokenError is the error of an attempt for which no token was available.
type TokenError struct {
	Err  error
	File File // the token file, as examined when the read failed
}

// Error returns the text of the cause.
func (e *TokenError) Error() string { return e.Err.Error() }

// Is reports whether target is ErrTokenFile.
func (e *TokenError) Is(target error) bool { return target == ErrTokenFile }

// Unwrap returns the cause.
func (e *TokenError) Unwrap() error { return e.Err }
