package irsatest

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// spareKeys holds RSA keys of closed Clusters for reuse, because generating a key takes longer than
// most tests. Open Clusters never share a key.
var spareKeys keyPool

// keyPool is a set of keys not used by any open Cluster.
type keyPool struct {
	mu   sync.Mutex
	keys []*rsa.PrivateKey
}

// maxSpareKeys limits the size of a keyPool.
const maxSpareKeys = 16

// get removes and returns a key from the pool. If the pool is empty, it generates a key.
func (p *keyPool) get() (*rsa.PrivateKey, error) {
	p.mu.Lock()
	if n := len(p.keys); n > 0 {
		key := p.keys[n-1]
		p.keys = p.keys[:n-1]
		p.mu.Unlock()
		return key, nil
	}
	p.mu.Unlock()
	return rsa.GenerateKey(rand.Reader, 2048)
}

// put adds the RSA keys among keys to the pool, up to its maximum size.
func (p *keyPool) put(keys []jose.JSONWebKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if key, ok := key.Key.(*rsa.PrivateKey); ok && len(p.keys) < maxSpareKeys {
			p.keys = append(p.keys, key)
		}
	}
}

// releaseKeys moves the signing keys of a Cluster to spareKeys. If its issuers are used again, they
// generate new keys. The keys of an issuer with Options.IssuerURL are dropped instead. Otherwise, a
// later Cluster with the same URL could accept this one's tokens.
func (k *Cluster) releaseKeys() {
	k.mu.Lock()
	issuers := k.issuers
	k.mu.Unlock()
	for _, i := range issuers {
		i.mu.Lock()
		keys := i.keys
		i.keys = nil
		i.mu.Unlock()
		if !i.chosenURL {
			spareKeys.put(keys)
		}
	}
}
