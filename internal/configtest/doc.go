// Package configtest shows the Provider together with the SDK's config package. It
// is a module of its own, so that the library does not depend on that package.
package configtest
