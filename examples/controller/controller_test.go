package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/irsakit/irsakit/irsa/irsatest"
)

// startController runs a controller with one bucket until the test ends.
func startController(t *testing.T, c *cluster, b *bucket) *controller {
	t.Helper()
	controller := newController(c.api(), fromPool(newPool(t, c), c.api()), poolTimeout)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		controller.run(t.Context())
	}()
	t.Cleanup(func() { <-ended })
	controller.add(b, 0)
	return controller
}

func ready(b *bucket) metav1.Condition {
	if len(b.conditions) == 0 {
		return metav1.Condition{}
	}
	return b.conditions[0]
}

func TestControllerSetsConditionForPermanentErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(irsatest.New(t))
		b, account := addTenant(t, c, "shop", "")
		b.roles = nil
		c.kit.Role("shop") // without a trust policy
		startController(t, c, b)
		time.Sleep(permanentDelay / 2)
		synctest.Wait()
		assert.Equal(t, metav1.ConditionFalse, ready(b).Status)
		assert.Equal(t, "AccessDenied", ready(b).Reason)
		assert.Contains(t, ready(b).Message, account.Annotations[roleAnnotation])
		assert.LessOrEqual(t, c.kit.STS.CallCount(), 2)

		c.kit.Role("shop", irsatest.Trust(c.accounts["shop"]))
		time.Sleep(permanentDelay)
		synctest.Wait()
		assert.Equal(t, metav1.ConditionTrue, ready(b).Status)
	})
}

func TestControllerSetsConditionForMissingRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(irsatest.New(t))
		b, account := addTenant(t, c, "shop", "")
		delete(account.Annotations, roleAnnotation)
		_, err := c.client.CoreV1().ServiceAccounts("shop").Update(t.Context(), account, metav1.UpdateOptions{})
		require.NoError(t, err)
		startController(t, c, b)
		time.Sleep(permanentDelay / 2)
		synctest.Wait()
		assert.Equal(t, "NoRole", ready(b).Reason)
		assert.Zero(t, c.kit.STS.CallCount())
	})
}

func TestControllerRetriesTemporaryErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(irsatest.New(t))
		b, _ := addTenant(t, c, "shop", "")
		c.kit.STS.Down()
		startController(t, c, b)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		assert.Empty(t, b.conditions)
		c.kit.STS.Up()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Equal(t, metav1.ConditionTrue, ready(b).Status)
	})
}
