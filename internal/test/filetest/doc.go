// Package filetest helps to test readers of files. On Unix, it creates directories, named pipes,
// sockets and devices in their place.
package filetest
