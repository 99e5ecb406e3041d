package irsa_test

import (
	"context"
	"fmt"
	"log"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// A controller acts in the accounts of its tenants. Each reconciliation requests the same role chain
// and gets the same Provider.
func ExampleChainedRole() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	controller := k.ServiceAccount("platform", "controller")
	base := k.Role("controller", irsatest.Trust(controller))
	hub := k.Role("hub", irsatest.InAccount("444455556666"), irsatest.Trust(base))
	tenant := k.Role("deployer", irsatest.InAccount("777788889999"), irsatest.Trust(hub))
	pod := k.Pod(controller, base)

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) }) // in a pod: irsa.NewPool()
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	for range 20 { // reconciliations
		deployer, err := pool.Provider(irsa.RoleOptions{
			Tenant: "blue",
			Chain:  []irsa.ChainedRole{{RoleARN: hub.ARN()}, {RoleARN: tenant.ARN(), ExternalID: "blue"}},
		})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := deployer.Retrieve(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(k.STS.CallCount(), "calls of STS, one for each role")
	fmt.Printf("%+v\n", pool.Status().Tenants)
	// Output:
	// 3 calls of STS, one for each role
	// map[blue:{Roles:3 Failing:0 NoCredentials:0}]
}

// A service acts in the accounts of its customers, which have given it a role and an external ID. The
// role of the pod, RoleARN, is empty: it is AWS_ROLE_ARN.
func ExampleRoleOptions() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	service := k.ServiceAccount("shop", "reports")
	base := k.Role("reports", irsatest.Trust(service))
	k.Role("reader", irsatest.InAccount("444455556666"), irsatest.Trust(base))
	pod := k.Pod(service, base)
	customer := struct{ Name, RoleARN, ExternalID string }{"blue", "arn:aws:iam::444455556666:role/reader", "shop-4711"}

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) }) // in a pod: irsa.NewPool()
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	provider, err := pool.Provider(irsa.RoleOptions{
		Chain:  []irsa.ChainedRole{{RoleARN: customer.RoleARN, ExternalID: customer.ExternalID}},
		Tenant: customer.Name,
	})
	if err != nil {
		log.Fatal(err)
	}
	creds, err := provider.Retrieve(context.Background())
	fmt.Println(creds.AccountID, err)
	// Output: 444455556666 <nil>
}

// A controller gets the Provider of a tenant's role from the Pool each time it needs it.
func ExamplePool() {
	k, err := irsatest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	cart := k.ServiceAccount("shop", "cart")
	red, blue := k.Role("red", irsatest.Trust(cart)), k.Role("blue", irsatest.Trust(cart))
	pod := k.Pod(cart, red)

	pool, err := irsa.NewPool(func(o *irsa.PoolOptions) { pod.Options(&o.Options) }) // in a pod: irsa.NewPool()
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	for _, role := range []*irsatest.Role{red, blue, red} {
		provider, err := pool.Provider(irsa.RoleOptions{RoleARN: role.ARN()})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := provider.Retrieve(context.Background()); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(pool.Status().Roles, "roles,", k.STS.CallCount(), "calls of STS")
	// Output: 2 roles, 2 calls of STS
}
