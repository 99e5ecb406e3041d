package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"

	"github.com/irsakit/irsakit/irsa"
)

const (
	workers        = 4
	resync         = time.Second      // interval between reconciliations of a healthy bucket; usually hours
	permanentDelay = 10 * time.Minute // interval between reconciliations of a bucket that needs a change
)

// bucket is a custom resource. It names the service account and roles that manage it.
type bucket struct {
	namespace      string
	serviceAccount string
	roles          []irsa.ChainedRole
	conditions     []metav1.Condition

	due time.Time // when the next reconciliation is due
}

// controller reconciles buckets.
type controller struct {
	api       apiServer
	providers providers
	timeout   time.Duration // per reconciliation
	observe   func(b *bucket, took time.Duration, err error)

	queue   workqueue.TypedDelayingInterface[*bucket]
	backoff workqueue.TypedRateLimiter[*bucket]
}

func newController(api apiServer, p providers, timeout time.Duration) *controller {
	return &controller{
		api: api, providers: p, timeout: timeout,
		observe: func(*bucket, time.Duration, error) {},
		queue:   workqueue.NewTypedDelayingQueue[*bucket](),
		backoff: workqueue.DefaultTypedControllerRateLimiter[*bucket](),
	}
}

// add schedules a bucket's next reconciliation.
func (c *controller) add(b *bucket, delay time.Duration) {
	b.due = time.Now().Add(delay)
	c.queue.AddAfter(b, delay)
}

// run reconciles buckets until ctx is done.
func (c *controller) run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				b, shutdown := c.queue.Get()
				if shutdown {
					return
				}
				c.handle(ctx, b)
				c.queue.Done(b)
			}
		})
	}
	<-ctx.Done()
	c.queue.ShutDown()
	all.Wait()
}

// handle reconciles a bucket and schedules its next reconciliation.
func (c *controller) handle(ctx context.Context, b *bucket) {
	start := time.Now()
	err := c.reconcile(ctx, b)
	c.observe(b, time.Since(start), err)
	reason, permanent := permanentReason(err)
	switch {
	case err == nil:
		b.setReady(metav1.ConditionTrue, "Reconciled", "")
		c.backoff.Forget(b)
		c.add(b, resync)
	case permanent:
		b.setReady(metav1.ConditionFalse, reason, err.Error())
		c.backoff.Forget(b)
		c.add(b, permanentDelay)
	default:
		c.add(b, c.backoff.When(b))
	}
}

// reconcile retrieves the credentials with which a controller manages the bucket in AWS.
func (c *controller) reconcile(ctx context.Context, b *bucket) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	account, err := c.api.client.CoreV1().ServiceAccounts(b.namespace).Get(ctx, b.serviceAccount, metav1.GetOptions{})
	if err != nil {
		return err
	}
	provider, err := c.providers(account, b.roles)
	if err != nil {
		return err
	}
	_, err = provider.Retrieve(ctx)
	return err
}

// permanentReason reports whether an error requires a change rather than a retry. If so, it also
// returns the reason for the condition.
func permanentReason(err error) (reason string, permanent bool) {
	var failure *irsa.Error
	switch {
	case errors.Is(err, errNoRole):
		return "NoRole", true
	case errors.As(err, &failure) && failure.Permanent():
		return cmp.Or(failure.Code, "NoCredentials"), true
	default:
		return "", false
	}
}

// setReady sets the Ready condition. An irsa.Error always has the same text for the same cause, so an
// unchanged condition does not require a write to the API server.
func (b *bucket) setReady(status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(&b.conditions, metav1.Condition{Type: "Ready", Status: status, Reason: reason, Message: message})
}
