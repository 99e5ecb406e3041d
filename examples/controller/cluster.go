package main

import (
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/irsakit/irsakit/irsa"
	"github.com/irsakit/irsakit/irsa/irsatest"
)

// Accounts in addition to the cluster's account.
const (
	hubAccount  = "444455556666"
	dataAccount = "777788889999"
)

// serviceAccount is the name of the service account in every tenant's namespace.
const serviceAccount = "app"

// hubPolicy is the trust policy of a tenant's role in the hub account.
const hubPolicy = `{"Version": "2012-10-17", "Statement": {
	"Effect": "Allow", "Principal": {"AWS": %q}, "Action": ["sts:AssumeRole", "sts:TagSession"],
	"Condition": {"StringEquals": {"sts:ExternalId": %q, "aws:RequestTag/tenant": %q}}
}}`

// cluster is a fake API server with tokens from the kit's issuer, together with the kit's AWS
// accounts.
type cluster struct {
	kit      *irsatest.Cluster
	client   *fake.Clientset
	accounts map[string]*irsatest.ServiceAccount // keyed by namespace
}

func newCluster(kit *irsatest.Cluster) *cluster {
	c := &cluster{kit: kit, client: fake.NewClientset(), accounts: map[string]*irsatest.ServiceAccount{}}
	c.client.PrependReactor("create", "serviceaccounts", c.createToken)
	return c
}

func (c *cluster) api() apiServer { return apiServer{c.client, "https://cluster.example"} }

// createToken serves the TokenRequest API.
func (c *cluster) createToken(action clienttesting.Action) (bool, runtime.Object, error) {
	create, ok := action.(clienttesting.CreateActionImpl)
	if !ok || create.Subresource != "token" {
		return false, nil, nil
	}
	account := c.accounts[create.Namespace]
	if account == nil || create.Name != serviceAccount {
		return true, nil, apierrors.NewNotFound(corev1.Resource("serviceaccounts"), create.Name)
	}
	request := create.Object.(*authenticationv1.TokenRequest).DeepCopy()
	request.Status.Token = account.Token(func(o *irsatest.TokenOptions) { o.Audiences = request.Spec.Audiences })
	return true, request, nil
}

// tokenRequests returns the number of TokenRequests so far.
func (c *cluster) tokenRequests() (n int) {
	for _, action := range c.client.Actions() {
		if action.Matches("create", "serviceaccounts/token") {
			n++
		}
	}
	return n
}

// addTenant adds a namespace with a service account, and a role of the same name in each account. It
// returns a bucket that belongs to the tenant. If audience is empty, the default is used.
func (c *cluster) addTenant(namespace, audience string) (*bucket, error) {
	account := c.kit.ServiceAccount(namespace, serviceAccount)
	c.accounts[namespace] = account
	first := c.kit.Role(namespace, irsatest.Trust(account))
	annotations := map[string]string{roleAnnotation: first.ARN()}
	if audience != "" {
		annotations[audienceAnnotation] = audience
		first.SetTrustPolicy(strings.Replace(first.TrustPolicy(), defaultAudience, audience, 1))
	}
	hub := c.kit.Role(namespace, irsatest.InAccount(hubAccount), irsatest.TrustPolicy(fmt.Sprintf(hubPolicy, first.ARN(), namespace, namespace)))
	data := c.kit.Role(namespace, irsatest.InAccount(dataAccount), irsatest.Trust(hub))
	err := c.client.Tracker().Add(&corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: serviceAccount, Annotations: annotations},
	})
	return &bucket{
		namespace: namespace, serviceAccount: serviceAccount,
		roles: []irsa.ChainedRole{
			{RoleARN: hub.ARN(), ExternalID: namespace, Tags: map[string]string{"tenant": namespace}},
			{RoleARN: data.ARN()},
		},
	}, err
}
