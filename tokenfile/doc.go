// Package tokenfile reads, inspects and watches one projected service account
// token: the file that the kubelet writes into a pod and renews at 80 % of the
// token's life.
//
// There are only a few types: a [Token] is what the file held at one moment, and
// its [Claims] are what it says of itself. [Read] reads the file once; [Watch]
// tells when its content changes.
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
//				log.Print(err) // the watch goes on
//				continue
//			}
//			claims := token.Claims()
//			fmt.Println(claims.Subject, "until", claims.Expiry)
//		}
//	}
//
// The token is a secret: whoever holds it can assume the role. A Token prints a
// placeholder, whatever the verb, logger or marshaller; [Token.Reveal] is the one
// way to its text.
package tokenfile
