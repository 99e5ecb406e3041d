package cache_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/irsakit/irsakit/cache"
)

// BenchmarkRetrieve compares a cached Retrieve with that of the SDK's cache, in the same run.
func BenchmarkRetrieve(b *testing.B) {
	ours := cache.New(&source{lifetime: time.Hour})
	defer ours.Close()
	for _, bb := range []struct {
		name     string
		provider aws.CredentialsProvider
	}{
		{"irsakit", ours},
		{"sdk", aws.NewCredentialsCache(&source{lifetime: time.Hour})},
	} {
		ctx := b.Context()
		if _, err := bb.provider.Retrieve(ctx); err != nil {
			b.Fatal(err)
		}
		b.Run("serial/"+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bb.provider.Retrieve(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("parallel/"+bb.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := bb.provider.Retrieve(ctx); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
