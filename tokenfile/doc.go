// Package tokenfile reads, parses and watches a projected service account token:
// the file that the kubelet writes into a pod and rotates at 80% of the token's
// lifetime.
//
// A [Token] is a snapshot of the content of the file. Its [Claims] are unverified.
// [Read] reads the file once; [Watch] yields a Token each time the content changes.
//
//	package main
//
//	import (
//		"context"
//		"fmt"
//		"log"
//
//		"github.com/irsakit/irsakit/tokenfile"
//	)
//
//	func main() {
//		path := "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
//		for token, err := range tokenfile.Watch(context.Background(), path) {
//			if err != nil {
//				log.Print(err) // the watch continues
//				continue
//			}
//			claims := token.Claims()
//			fmt.Println(claims.Subject, "until", claims.Expiry)
//		}
//	}
//
// The token is a secret: anyone who has it can assume the role. Every formatting verb,
// logger and marshaler prints a placeholder. Only [Token.Reveal] returns the token
// itself.
package tokenfile
