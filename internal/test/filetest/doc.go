// Package filetest helps to test readers of files with directories, named pipes, sockets
// and devices. It has no functions on systems other than Unix.
package filetest
