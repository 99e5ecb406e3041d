package irsa_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// BenchmarkPool measures role lookups in a Pool of 10,000 roles. Run it with -cpu 1,2,8.
func BenchmarkPool(b *testing.B) {
	k := newCluster(b)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer"))
	p, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) })
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	roles := make([]irsa.RoleOptions, 10_000)
	for i := range roles {
		roles[i].RoleARN = fmt.Sprintf("arn:aws:iam::111122223333:role/tenant-%d", i)
		if _, err := p.Provider(roles[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := p.Provider(roles[i%len(roles)]); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkRetrieve measures cached calls of Retrieve on a Provider and on the SDK's cache.
func BenchmarkRetrieve(b *testing.B) {
	k := newCluster(b)
	sa := k.ServiceAccount("shop", "cart")
	pod := k.Pod(sa, k.Role("s3-writer", irsatest.Trust(sa)))
	p, err := irsa.New(pod.Options)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for name, provider := range map[string]aws.CredentialsProvider{"irsakit": p, "sdk": newSDKProvider(k, pod)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := provider.Retrieve(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFailingRetrieve measures Retrieve between failed attempts.
func BenchmarkFailingRetrieve(b *testing.B) {
	k := newCluster(b)
	sa := k.ServiceAccount("shop", "cart")
	p, err := irsa.New(k.Pod(sa, k.Role("s3-writer")).Options) // the role trusts no service account
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Retrieve(context.Background()); err == nil {
			b.Fatal("the role was assumed")
		}
	}
}
