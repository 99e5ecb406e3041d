// Package configtest tests the Provider with the SDK's config package. It is a separate
// module, so that the library does not depend on that package.
package configtest
