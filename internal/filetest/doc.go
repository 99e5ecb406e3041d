// Package filetest tests readers of files with special files: directories, named
// pipes, sockets and devices. It needs Unix.
package filetest
