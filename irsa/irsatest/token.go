package irsatest

import (
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are those that the Kubernetes 1.37 API server writes into the token of
// a pod (pkg/serviceaccount/claims.go). Times are whole seconds.
type claims struct {
	Audience   []string         `json:"aud"`
	Expiry     int64            `json:"exp"`
	IssuedAt   int64            `json:"iat"`
	Issuer     string           `json:"iss"`
	ID         string           `json:"jti"`
	Kubernetes kubernetesClaims `json:"kubernetes.io"`
	NotBefore  int64            `json:"nbf"`
	Subject    string           `json:"sub"`
}

type kubernetesClaims struct {
	Namespace      string    `json:"namespace"`
	Node           reference `json:"node"`
	Pod            reference `json:"pod"`
	ServiceAccount reference `json:"serviceaccount"`
}

type reference struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// mint makes a token that is good for life from now. With a life of zero or
// less it has expired by as much; it was issued a usual life before its end.
func (p *Pod) mint(life time.Duration) (string, error) {
	issued := time.Now()
	expiry := issued.Add(life)
	if life <= 0 {
		issued = expiry.Add(-p.opts.TokenLife)
	}
	issuer := p.cluster.Issuer
	return issuer.sign(claims{
		Audience: []string{p.opts.Audience},
		Expiry:   expiry.Unix(),
		IssuedAt: issued.Unix(),
		Issuer:   issuer.url,
		ID:       uuid(),
		Kubernetes: kubernetesClaims{
			Namespace:      p.account.namespace,
			Node:           p.node,
			Pod:            reference{Name: p.name, UID: p.uid},
			ServiceAccount: reference{Name: p.account.name, UID: p.account.uid},
		},
		NotBefore: issued.Unix(),
		Subject:   p.account.subject(),
	})
}

// sign makes a token as Kubernetes does: with alg and kid in its header, no typ.
func (i *Issuer) sign(c claims) (string, error) {
	key, err := i.signingKey()
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return token, nil
}
