package irsa_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/irsa"
)

func TestProviderAcceptsOnlyCredentialsOfItsRole(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::111122223333:role/s3-writer"
	for name, tt := range map[string]struct{ role, arn, err string }{
		"the role":                         {role, "arn:aws:sts::111122223333:assumed-role/s3-writer/x", ""},
		"another account":                  {role, "arn:aws:sts::444455556666:assumed-role/s3-writer/x", `another role, "s3-writer" in account 444455556666`},
		"another role":                     {role, "arn:aws:sts::111122223333:assumed-role/other/x", `another role, "other" in account 111122223333`},
		"another role, indented":           {role, "\n  arn:aws:sts::111122223333:assumed-role/other/x\n", `another role, "other" in account 111122223333`},
		"a role with a long name":          {role, "arn:aws:sts::111122223333:assumed-role/" + strings.Repeat("x", 1000) + "/x", `xxx"... in account`},
		"another partition":                {role, "arn:aws-cn:sts::111122223333:assumed-role/s3-writer/x", ""},
		"China":                            {"arn:aws-cn:iam::111122223333:role/r", "arn:aws-cn:sts::111122223333:assumed-role/r/x", ""},
		"another account in China":         {"arn:aws-cn:iam::111122223333:role/r", "arn:aws-cn:sts::444455556666:assumed-role/r/x", "another role"},
		"a path":                           {"arn:aws:iam::111122223333:role/team/a/r", "arn:aws:sts::111122223333:assumed-role/r/x", ""},
		"a path, and another role":         {"arn:aws:iam::111122223333:role/team/r", "arn:aws:sts::111122223333:assumed-role/team/x", "another role"},
		"mixed case":                       {"arn:aws:iam::111122223333:role/Team/S3-Writer", "arn:aws:sts::111122223333:assumed-role/s3-writer/x", ""},
		"no ARN":                           {role, "", ""},
		"a text":                           {role, "s3-writer", ""},
		"a user":                           {role, "arn:aws:sts::111122223333:federated-user/other", ""},
		"a short account":                  {role, "arn:aws:sts::4444:assumed-role/other/x", ""},
		"a role of IAM":                    {role, "arn:aws:iam::444455556666:role/other", ""},
		"MinIO":                            {"arn:minio:iam:::role/idp-role", "", ""},
		"MinIO, with an ARN like AWS's":    {"arn:minio:iam:::role/idp-role", "arn:aws:sts::444455556666:assumed-role/other/x", ""},
		"a role of AWS, answered by MinIO": {role, "arn:minio:sts:::assumed-role/other/x", ""},
	} {
		for _, action := range []string{"AssumeRoleWithWebIdentity", "AssumeRole"} {
			t.Run(action+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, pod := newPod(t)
					body := replyBody(action, "<AssumedRoleUser><Arn>"+tt.arn+"</Arn></AssumedRoleUser><Credentials>"+fineCredentials+"<Expiration>2000-01-01T01:00:00Z</Expiration></Credentials>")
					p := newProvider(t, pod.Options, func(o *irsa.Options) {
						o.HTTPClient = &http.Client{Transport: &echoServer{action: action, status: http.StatusOK, body: body, pass: k.HTTPClient().Transport}}
						if action == "AssumeRoleWithWebIdentity" {
							o.RoleARN = tt.role
						}
					})
					if action == "AssumeRole" {
						var err error
						p, err = p.AssumeRole(tt.role)
						require.NoError(t, err)
					}
					err := p.Refresh(t.Context())
					if tt.err == "" {
						assert.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, irsa.ErrUnavailable)
					assert.Contains(t, fmt.Sprintf("%+v", err), tt.err)
					assert.ErrorContains(t, err, "#not-sts")
					assert.ErrorIs(t, p.Healthy(), irsa.ErrUnavailable)
				})
			})
		}
	}
}
