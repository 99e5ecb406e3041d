package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/irsakit/irsakit/irsa"
)

// fromSDK returns the SDK's own providers, for comparison. Each reconciliation creates new ones,
// which share the HTTP client in cfg.
func fromSDK(cfg aws.Config, api apiServer) providers {
	return func(account *corev1.ServiceAccount, roles []irsa.ChainedRole) (aws.CredentialsProvider, error) {
		role := account.Annotations[roleAnnotation]
		if role == "" {
			return nil, errNoRole
		}
		cfg := cfg.Copy()
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(
			sts.NewFromConfig(cfg), role, retriever{api.tokens(account)},
			func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = account.Namespace },
		))
		for _, next := range roles {
			cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(
				sts.NewFromConfig(cfg), next.RoleARN, func(o *stscreds.AssumeRoleOptions) {
					o.RoleSessionName = account.Namespace
					if next.ExternalID != "" {
						o.ExternalID = &next.ExternalID
					}
					for key, value := range next.Tags {
						o.Tags = append(o.Tags, types.Tag{Key: &key, Value: &value})
					}
				},
			))
		}
		return cfg.Credentials, nil
	}
}

// retriever adapts a token source to the SDK's interface, which has no context.
type retriever struct{ source irsa.TokenSource }

func (r retriever) GetIdentityToken() ([]byte, error) {
	token, err := r.source.Token(context.Background())
	if err != nil {
		return nil, err
	}
	return []byte(token.Reveal()), nil
}
