package manifests

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/trustpolicy"
)

const examples = "../../../examples/"

// check returns all that is wrong with the files of a folder.
func check(files map[string]string) error {
	m, err := decode(files)
	if err != nil {
		return err
	}
	errs := []error{checkRoles(m)}
	for _, w := range m.workloads {
		if err := checkPod(w.pod, m.talks(w.meta.Namespace, w.pod.Spec.ServiceAccountName)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
		if err := checkNetwork(w, m.policies); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
		}
	}
	if document, found := files["permissions-policy.json"]; found {
		errs = append(errs, checkPermissions(document))
	}
	return errors.Join(errs...)
}

func TestThePodsOfTheExamplesGetTheirRolesAndNoMore(t *testing.T) {
	folders, err := filepath.Glob(examples + "*/kubernetes")
	require.NoError(t, err)
	for _, name := range []string{"s3", "sidecar", "observability", "multitenant", "crossaccount", "tokenrequest"} {
		assert.Contains(t, folders, examples+name+"/kubernetes")
	}
	for _, folder := range folders {
		t.Run(filepath.Base(filepath.Dir(folder)), func(t *testing.T) {
			require.NoError(t, check(read(t, folder)))
		})
	}
}

func TestTheDoctorsPodHasNoMoreRightsThanItNeeds(t *testing.T) {
	m, err := decode(read(t, examples+"doctor"))
	require.NoError(t, err)
	require.Len(t, m.workloads, 1)
	require.NoError(t, checkPod(m.workloads[0].pod, false))
}

func TestThePartnersRoleAsksForTheExternalID(t *testing.T) {
	files := read(t, examples+"crossaccount/kubernetes")
	policy, err := trustpolicy.Parse([]byte(files["partner-trust-policy.json"]))
	require.NoError(t, err)
	m, err := decode(files)
	require.NoError(t, err)
	request := trustpolicy.Request{Action: "sts:AssumeRole", Principal: trustpolicy.Principal{ARN: m.accounts[0].Annotations[roleARN]}}
	assert.False(t, policy.Evaluate(request).Allowed)
	request.Context = map[string][]string{"sts:ExternalId": {"shop-4711"}}
	assert.True(t, policy.Evaluate(request).Allowed)
	request.Principal.ARN += "-other"
	assert.False(t, policy.Evaluate(request).Allowed)
}
