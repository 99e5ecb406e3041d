package irsatest

import (
	"crypto/rand"
	"crypto/rsa"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// spareKeys has the RSA keys of closed Clusters. Making one takes longer than most tests do, and no
// two open Clusters have the same.
var spareKeys keyPool

// keyPool is a set of keys that nobody uses.
type keyPool struct {
	mu   sync.Mutex
	keys []*rsa.PrivateKey
}

const maxSpareKeys = 16

// get returns a key of the pool, or a new one.
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

// put takes those of the keys that are RSA keys.
func (p *keyPool) put(keys []jose.JSONWebKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if key, ok := key.Key.(*rsa.PrivateKey); ok && len(p.keys) < maxSpareKeys {
			p.keys = append(p.keys, key)
		}
	}
}

// releaseKeys gives the signing keys of a Cluster back. Its issuers make others if they are used
// again.
func (k *Cluster) releaseKeys() {
	k.mu.Lock()
	issuers := k.issuers
	k.mu.Unlock()
	for _, i := range issuers {
		i.mu.Lock()
		keys := i.keys
		i.keys = nil
		i.mu.Unlock()
		spareKeys.put(keys)
	}
}
