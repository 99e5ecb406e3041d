//go:build !unix

package irsa

import "io/fs"

// ownerOf returns "", because file owners are not known on this system.
func ownerOf(fs.FileInfo) string { return "" }
