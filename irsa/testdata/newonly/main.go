// Program newonly is linked with irsa.New and the methods of a Provider. It writes its executable to its
// output.
package main

import (
	"context"
	"io"
	"log"
	"os"

	"github.com/irsakit/irsakit/irsa"
)

func main() {
	if len(os.Args) > 1 {
		retrieve()
	}
	path, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(os.Stdout, f); err != nil {
		log.Fatal(err)
	}
}

func retrieve() {
	p, err := irsa.New()
	if err != nil {
		log.Fatal(err)
	}
	creds, err := p.Retrieve(context.Background())
	log.Print(creds.Expires, err, p.Close())
}
