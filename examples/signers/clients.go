package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"golang.org/x/oauth2"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

// beforeConnect signs a password for each new pgx connection. Connections stay open after it has
// expired.
func (t *tokens) beforeConnect(ctx context.Context, c *pgx.ConnConfig) (err error) {
	c.Password, err = t.rds(ctx, fmt.Sprintf("%s:%d", c.Host, c.Port), c.User)
	return err
}

// pool returns a pgx connection pool.
func (t *tokens) pool(ctx context.Context, databaseURL string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	c.BeforeConnect = t.beforeConnect
	return pgxpool.NewWithConfig(ctx, c)
}

// database returns a database for database/sql.
func (t *tokens) database(databaseURL string) (*sql.DB, error) {
	c, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*c, stdlib.OptionBeforeConnect(t.beforeConnect)), nil
}

// redisOptions returns options that sign a password for each new connection. ElastiCache closes
// connections after 12 hours.
func (t *tokens) redisOptions(address, group, user string) *redis.Options {
	return &redis.Options{
		Addr: address,
		CredentialsProviderContext: func(ctx context.Context) (string, string, error) {
			password, err := t.elastiCache(ctx, group, user)
			return user, password, err
		},
	}
}

// restConfig adds bearer tokens for an EKS cluster to a client-go configuration.
func (t *tokens) restConfig(c *rest.Config, cluster string) *rest.Config {
	c = rest.CopyConfig(c)
	c.Wrap(transport.TokenSourceWrapTransport(oauth2.ReuseTokenSource(nil, eksTokens{t, cluster})))
	return c
}

// eksTokens is an oauth2.TokenSource for an EKS cluster. It is called when the last token has
// expired.
type eksTokens struct {
	tokens  *tokens
	cluster string
}

// Token returns a token. The API server accepts it for a minute beyond its Expiry.
func (e eksTokens) Token() (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // the interface has no context
	defer cancel()
	token, err := e.tokens.eks(ctx, e.cluster)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: token, Expiry: time.Now().Add(tokenLifetime - time.Minute)}, nil
}
