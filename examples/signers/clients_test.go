package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// newPod returns a cluster on loopback and the tokens of a pod.
func newPod(t *testing.T) (*irsatest.Cluster, *tokens) {
	t.Helper()
	kit, err := irsatest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, kit.Close()) })
	sa := kit.ServiceAccount("shop", "cart")
	p, err := irsa.New(kit.Pod(sa, kit.Role("cart", irsatest.Trust(sa))).Options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.Close()) })
	return kit, newTokens(p)
}

// serve serves connections on loopback until the test ends, and returns the address.
func serve(t *testing.T, handle func(net.Conn) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_ = handle(conn) // the client reports it
			}()
		}
	}()
	return listener.Addr().String()
}

// postgres handles a connection from a PostgreSQL client. It accepts RDS tokens as passwords.
func postgres(ctx context.Context, kit *irsatest.Cluster) func(net.Conn) error {
	return func(conn net.Conn) error {
		b := pgproto3.NewBackend(conn, conn)
		if _, err := b.ReceiveStartupMessage(); err != nil {
			return err
		}
		b.Send(&pgproto3.AuthenticationCleartextPassword{})
		if err := b.Flush(); err != nil {
			return err
		}
		message, err := b.Receive()
		if err != nil {
			return err
		}
		password, ok := message.(*pgproto3.PasswordMessage)
		if !ok {
			return fmt.Errorf("unexpected message %T", message)
		}
		if _, err := verifyURL("rds-db")(ctx, kit, password.Password); err != nil {
			b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: err.Error()})
			return b.Flush()
		}
		b.Send(&pgproto3.AuthenticationOk{})
		for {
			b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			if err := b.Flush(); err != nil {
				return err
			}
			if _, err := b.Receive(); err != nil {
				return err
			}
			b.Send(&pgproto3.EmptyQueryResponse{}) // in response to a ping
		}
	}
}

func TestDatabaseAuthenticates(t *testing.T) {
	kit, tokens := newPod(t)
	url := "postgres://app@" + serve(t, postgres(t.Context(), kit)) + "/shop?sslmode=disable"

	pool, err := tokens.pool(t.Context(), url)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pool.Ping(t.Context()))

	db, err := tokens.database(url)
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	require.NoError(t, db.PingContext(t.Context()))

	kit.STS.SetClockSkew(tokenLifetime)
	require.NoError(t, db.PingContext(t.Context()), "the connection stays open")
	db.SetMaxIdleConns(-1)
	assert.ErrorContains(t, db.PingContext(t.Context()), "expired", "of a new connection")
}

// elastiCache handles a connection from a Redis client. It accepts ElastiCache tokens as passwords.
func elastiCache(ctx context.Context, kit *irsatest.Cluster) func(net.Conn) error {
	return func(conn net.Conn) error {
		in := bufio.NewReader(conn)
		for {
			command, err := readCommand(in)
			if err != nil {
				return err
			}
			reply := "+OK\r\n"
			switch strings.ToUpper(command[0]) {
			case "HELLO":
				reply = "-ERR unknown command\r\n"
			case "AUTH":
				if _, err := verifyURL("elasticache")(ctx, kit, command[2]); err != nil {
					reply = "-WRONGPASS " + err.Error() + "\r\n"
				}
			case "PING":
				reply = "+PONG\r\n"
			}
			if _, err := io.WriteString(conn, reply); err != nil {
				return err
			}
		}
	}
}

// readCommand reads a command in the Redis protocol: the number of arguments, followed by the length
// and text of each.
func readCommand(in *bufio.Reader) ([]string, error) {
	var count int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil {
		return nil, err
	}
	command := make([]string, count)
	for i := range command {
		var size int
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(in, text); err != nil {
			return nil, err
		}
		command[i] = string(text[:size])
	}
	return command, nil
}

func TestRedisAuthenticates(t *testing.T) {
	kit, tokens := newPod(t)
	address := serve(t, elastiCache(t.Context(), kit))
	client := redis.NewClient(tokens.redisOptions(address, "carts", "app"))
	defer func() { assert.NoError(t, client.Close()) }()
	require.NoError(t, client.Ping(t.Context()).Err())

	kit.STS.SetClockSkew(tokenLifetime)
	other := redis.NewClient(tokens.redisOptions(address, "carts", "app"))
	defer func() { assert.NoError(t, other.Close()) }()
	assert.ErrorContains(t, other.Ping(t.Context()).Err(), "WRONGPASS")
}

func TestRestConfigAuthenticates(t *testing.T) {
	kit, tokens := newPod(t)
	var callers []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := verifyEKS(r.Context(), kit, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		callers = append(callers, caller)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{},"items":[]}`)
	}))
	defer server.Close()
	config := tokens.restConfig(&rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}, "production")
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)

	for range 3 {
		_, err = client.CoreV1().ConfigMaps("shop").List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
	}

	assert.Len(t, callers, 3)
	assert.Regexp(t, `^arn:aws:sts::\d{12}:assumed-role/cart/`, callers[0])
}
