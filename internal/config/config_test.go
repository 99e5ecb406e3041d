package config

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/irsakit/irsakit/internal/explain"
	"github.com/irsakit/irsakit/tokenfile"
)

const roleARN = "arn:aws:iam::111122223333:role/s3-writer"

// valid returns settings that Resolve accepts.
func valid() Config {
	return Config{RoleARN: roleARN, TokenFile: "/var/run/secrets/eks.amazonaws.com/serviceaccount/token", Region: "us-west-2", Shared: &Shared{}}
}

// environmentOf returns an environment with the given variables.
func environmentOf(variables map[string]string) Environment {
	return Environment{
		Getenv: func(name string) string { return variables[name] },
		Open:   func(path string) (fs.File, error) { return os.Open(path) },
		Token:  func(ctx context.Context, c *Config) (tokenfile.Token, error) { return c.Token.Token(ctx) },
	}
}

func noToken(context.Context) (tokenfile.Token, error) { return tokenfile.Token{}, assert.AnError }

func TestWarningsIncludePartitionAndAPIServerToken(t *testing.T) {
	env := environmentOf(nil)
	for _, tt := range []struct{ role, region, file, want string }{
		{"arn:aws-cn:iam::111122223333:role/r", "us-west-2", "/token", "us-west-2 is in the partition aws, but the role arn:aws-cn:iam::111122223333:role/r is not"},
		{roleARN, "cn-north-1", "/token", "cn-north-1 is in the partition aws-cn"},
		{roleARN, "us-west-2", "/var/run/secrets/kubernetes.io/serviceaccount/token", "not the IRSA token"},
		{roleARN, "us-west-2", `C:\var\run\secrets\kubernetes.io\serviceaccount\token`, "not the IRSA token"},
		{roleARN, "us-west-2", "/run/secrets/kubernetes.io/serviceaccount/token", "not the IRSA token"},
		{roleARN, "us-west-2", "/var/run/secrets/eks.amazonaws.com/serviceaccount/token", ""},
	} {
		c := Config{RoleARN: tt.role, Region: tt.region, TokenFile: tt.file, Shared: &Shared{}}
		warnings := strings.Join(env.Warnings(&c), "\n")
		if tt.want == "" {
			assert.Empty(t, warnings)
			continue
		}
		assert.Contains(t, warnings, tt.want)
	}
}

func TestResolveRegionInUpperCase(t *testing.T) {
	for _, tt := range []struct{ region, endpoint, want, err string }{
		{"US-WEST-2", "", "us-west-2", ""},
		{"Cn-North-1", "", "cn-north-1", ""},
		{"EU-Office-1", "https://minio.example", "EU-Office-1", ""},
		{"US-EAST-1A", "", "us-east-1a", "zone of the region us-east-1"},
	} {
		given := valid()
		given.Region, given.Shared.Endpoint = "", tt.endpoint
		env := environmentOf(map[string]string{EnvRegion: tt.region})
		c, errs := env.Resolve(t.Context(), given)
		assert.Equal(t, tt.want, c.Region)
		if tt.err == "" {
			assert.NoError(t, errs.Join())
			continue
		}
		assert.ErrorContains(t, errs.Join(), tt.err)
	}
}

func TestRegionRejectsZones(t *testing.T) {
	for region, want := range map[string]string{
		"us-east-1": "", "us-gov-west-1": "", "us-iso-east-1": "", "eusc-de-east-1": "", "ap-southeast-15": "", "minio": "", "local": "", "us-east": "",
		"us-east-1a": "zone of the region us-east-1", "us-gov-west-1b": "zone of the region us-gov-west-1", "us-west-2-lax-1a": "zone of the region us-west-2",
		"us-east-1-wl1-bos-wlz-1": "zone of the region us-east-1", "aws-global": "is not a region", "aws-cn-global": "is not a region", "us_west_2": "is not the name",
	} {
		err := validateRegion(region)
		if want == "" {
			assert.NoError(t, err, region)
			continue
		}
		assert.ErrorContains(t, err, want, region)
	}
}

func TestResolveRejectsInvalidSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		set  func(*Config)
		want []string
	}{
		{name: "nothing is set", set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set", "#not-injected"}},
		{name: "only the role is set", env: map[string]string{"AWS_ROLE_ARN": roleARN}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"but AWS_WEB_IDENTITY_TOKEN_FILE is not set", "#half-injected"}},
		{name: "only the token file is set", env: map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_REGION": "us-west-2"}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"but AWS_ROLE_ARN is not set", "#half-injected"}},
		{name: "both are empty", env: map[string]string{"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": " "}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set"}},
		{name: "Pod Identity instead", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"this pod uses EKS Pod Identity instead of IRSA", "#pod-identity"}},
		{name: "Pod Identity over IPv6", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"this pod uses EKS Pod Identity instead of IRSA", "#pod-identity"}},
		{name: "sidecar instead", env: map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9910/credentials"}, set: func(o *Config) { *o = Config{Shared: &Shared{}} },
			want: []string{"AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE are not set", "#not-injected"}},
		{name: "relative token path", set: func(o *Config) { o.TokenFile = "serviceaccount/token" },
			want: []string{`"serviceaccount/token" is not an absolute path`}},
		{name: "token source and a token file", set: func(o *Config) { o.Token = &TokenFunc{Name: "x", Call: noToken} },
			want: []string{"both Options.Token and Options.TokenFile are set"}},
		{name: "role name instead of ARN", set: func(o *Config) { o.RoleARN = "s3-writer" }, want: []string{`"s3-writer" is not the ARN of an IAM role`}},
		{name: "user's ARN", set: func(o *Config) { o.RoleARN = "arn:aws:iam::111122223333:user/s3-writer" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "session's ARN", set: func(o *Config) { o.RoleARN = "arn:aws:sts::111122223333:assumed-role/s3-writer/me" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "role without a name", set: func(o *Config) { o.RoleARN = "arn:aws:iam::111122223333:role/" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "role ARN with a missing field", set: func(o *Config) { o.RoleARN = "arn:aws:iam:111122223333:role/s3-writer" }, want: []string{"is not the ARN of an IAM role"}},
		{name: "account ID of 11 digits", set: func(o *Config) { o.RoleARN = "arn:aws:iam::11112222333:role/s3-writer" }, want: []string{"no account ID of 12 digits"}},
		{name: "role ARN with a space", set: func(o *Config) { o.RoleARN = roleARN + " x" }, want: []string{"contains invalid characters"}},
		{name: "role ARN with a region", set: func(o *Config) { o.RoleARN = "arn:aws:iam:us-west-2:111122223333:role/s3-writer" }, want: []string{"is not the ARN of an IAM role", "#role-arn"}},
		{name: "role ARN with a quotation mark", set: func(o *Config) { o.RoleARN = roleARN + `"` }, want: []string{"contains invalid characters", "#role-arn"}},
		{name: "role ARN with a colon", set: func(o *Config) { o.RoleARN = roleARN + ":1" }, want: []string{"contains invalid characters"}},
		{name: "role ARN with *", set: func(o *Config) { o.RoleARN = "arn:aws:iam::111122223333:role/*" }, want: []string{"has a wildcard or a policy variable", "#role-arn"}},
		{name: "role ARN with ?", set: func(o *Config) { o.RoleARN = "arn:aws-cn:iam::111122223333:role/t?am/s3-writer" }, want: []string{"has a wildcard or a policy variable"}},
		{name: "role ARN with a variable", set: func(o *Config) { o.RoleARN = "arn:aws:iam::111122223333:role/${aws:username}" }, want: []string{"has a wildcard or a policy variable"}},
		{name: "role ARN too long", set: func(o *Config) { o.RoleARN = roleARN + strings.Repeat("x", 2048) }, want: []string{"STS accepts 20 to 2048"}},
		{name: "negative duration", set: func(o *Config) { o.Duration = -time.Hour }, want: []string{"the duration -1h0m0s is not between 15m0s and 12h0m0s"}},
		{name: "899 seconds", set: func(o *Config) { o.Duration = 899 * time.Second }, want: []string{"the duration 14m59s is not between"}},
		{name: "43201 seconds", set: func(o *Config) { o.Duration = 43201 * time.Second }, want: []string{"the duration 12h0m1s is not between"}},
		{name: "fraction of a second", set: func(o *Config) { o.Duration = time.Hour + time.Millisecond }, want: []string{"whole number of seconds"}},
		{name: "session name with a slash", set: func(o *Config) { o.SessionName = "shop/cart" }, want: []string{`the session name "shop/cart"`}},
		{name: "session name with a colon", set: func(o *Config) { o.SessionName = "shop:cart" }, want: []string{`the session name "shop:cart"`}},
		{name: "session name of 1 character", set: func(o *Config) { o.SessionName = "x" }, want: []string{"2 to 64 characters"}},
		{name: "session name of 65 characters", set: func(o *Config) { o.SessionName = strings.Repeat("x", 65) }, want: []string{"2 to 64 characters"}},
		{name: "session name from the environment", env: map[string]string{"AWS_ROLE_SESSION_NAME": "a b"}, want: []string{`the session name "a b"`}},
		{name: "policy too long", set: func(o *Config) { o.Policy = strings.Repeat("x", 2049) }, want: []string{"2049 characters in total"}},
		{name: "eleven policy ARNs", set: func(o *Config) {
			o.PolicyARNs = strings.Split(strings.Repeat("arn:aws:iam::aws:policy/ReadOnlyAccess,", 10)+"arn:aws:iam::aws:policy/x", ",")
		}, want: []string{"there are more than 10 policy ARNs"}},
		{name: "policy name instead of ARN", set: func(o *Config) { o.PolicyARNs = []string{"ReadOnlyAccess"} }, want: []string{`"ReadOnlyAccess" is not the ARN of a managed policy`}},
		{name: "endpoint without a scheme", set: func(o *Config) { o.Shared.Endpoint = "sts.us-west-2.amazonaws.com" }, want: []string{"is not a URL with a scheme and a host"}},
		{name: "endpoint with a space", set: func(o *Config) { o.Shared.Endpoint = "https://sts.example/ " }, want: []string{`"https://sts.example/ " is not a URL`}},
		{name: "endpoint with a query", set: func(o *Config) { o.Shared.Endpoint = "https://sts.example/?key=secret" }, want: []string{`the STS endpoint "https://sts.example" has a query or a fragment`}},
		{name: "endpoint with a fragment", set: func(o *Config) { o.Shared.Endpoint = "https://sts.example#top" }, want: []string{`the STS endpoint "https://sts.example" has a query or a fragment`}},
		{name: "endpoint with an invalid port", set: func(o *Config) { o.Shared.Endpoint = "https://sts.example:99999" }, want: []string{`the STS endpoint "https://sts.example:99999" has an invalid port`}},
		{name: "endpoint together with FIPS", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, set: func(o *Config) { o.Shared.Endpoint = "https://localhost" }, want: []string{"AWS_USE_FIPS_ENDPOINT"}},
		{name: "FIPS neither true nor false", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "maybe"}, want: []string{`AWS_USE_FIPS_ENDPOINT is "maybe"`}},
		{name: "host name as region", set: func(o *Config) { o.Region = "evil.example/" }, want: []string{`"evil.example/" is not the name of a region`}},
		{name: "missing CA bundle", env: map[string]string{"AWS_CA_BUNDLE": "/no/such/bundle.pem"}, want: []string{"AWS_CA_BUNDLE: ", " /no/such/bundle.pem: "}},
		{name: "CA bundle without certificates", env: map[string]string{"AWS_CA_BUNDLE": "config_test.go"}, want: []string{"contains no PEM certificate"}},
		{name: "several errors", set: func(o *Config) { o.RoleARN, o.TokenFile, o.Duration, o.SessionName = "x", "y", 1, "z" },
			want: []string{`"x" is not`, `"y" is not`, "the duration 1ns", `the session name "z"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := valid()
			if tt.set != nil {
				tt.set(&given)
			}
			_, errs := environmentOf(tt.env).Resolve(t.Context(), given)
			require.NotEmpty(t, errs)
			text := errs.Join().Error() + errs[0].Heading.Link()
			for _, want := range tt.want {
				assert.Contains(t, text, want)
			}
		})
	}
}

func requireValid(t *testing.T, set func(*Config)) {
	t.Helper()
	given := valid()
	set(&given)
	_, errs := environmentOf(nil).Resolve(t.Context(), given)
	require.NoError(t, errs.Join())
}

func TestResolveAcceptsRolesInAllPartitions(t *testing.T) {
	for _, role := range []string{
		roleARN,
		"arn:aws:iam::111122223333:role/team/path/s3-writer",
		"arn:aws:iam::111122223333:role/!~$/{team}/s3+writer=,.@-_",
		"arn:aws-cn:iam::111122223333:role/s3-writer",
		"arn:aws-us-gov:iam::111122223333:role/s3-writer",
		"arn:aws-iso-b:iam::111122223333:role/s3-writer",
		"arn:aws-eusc:iam::111122223333:role/s3-writer",
		"arn:minio:iam:us-east-1::role/dGhpcyBpcyBhIGhhc2g",
	} {
		requireValid(t, func(o *Config) { o.RoleARN = role })
	}
}

func TestResolveAcceptsLimits(t *testing.T) {
	for _, set := range []func(*Config){
		func(o *Config) { o.Duration = 15 * time.Minute },
		func(o *Config) { o.Duration = 12 * time.Hour },
		func(o *Config) { o.SessionName = "ab" },
		func(o *Config) { o.SessionName = strings.Repeat("x", 64) },
		func(o *Config) { o.SessionName = "Az09_+=,.@-" },
		func(o *Config) { o.Policy = strings.Repeat("x", 2048) },
	} {
		requireValid(t, set)
	}
}

func TestResolveValidatesEndpoint(t *testing.T) {
	for endpoint, ok := range map[string]bool{
		"https://sts.us-west-2.amazonaws.com":  true,
		"https://sts.us-west-2.amazonaws.com/": true,
		"https://minio.example:9000/sts":       true,
		"https://[fd00::1]:9000":               true,
		"HTTPS://STS.example":                  true,
		"https://:443":                         false,
		"https://x:99999":                      false,
		"https://x:0":                          false,
		"https://x:-1":                         false,
		"https://x?b=c":                        false,
		"https://x?":                           false,
		"https://x#d":                          false,
		"https://x#":                           false,
		"https://x:":                           false,
		"https://https://sts.example":          false,
		"https://fd00::1":                      false,
		"https://fd00::1:9000":                 false,
		"https:x":                              false,
		"https:///x":                           false,
		"https://":                             false,
		"//x":                                  false,
		"ftp://x":                              false,
		"x:443":                                false,
		"https://a b":                          false,
		"https://[::1":                         false,
		"https://user@x":                       false,
	} {
		given := valid()
		given.Shared.Endpoint = endpoint
		c, errs := environmentOf(nil).Resolve(t.Context(), given)
		if ok {
			assert.Empty(t, errs, endpoint)
			assert.Equal(t, endpoint, c.URL())
		} else if assert.Len(t, errs, 1, endpoint) {
			assert.Equal(t, explain.HeadingEndpoint, errs[0].Heading)
		}
	}
}

func TestResolveFindsRegion(t *testing.T) {
	issuer := &TokenFunc{Name: "eks", Call: func(context.Context) (tokenfile.Token, error) {
		// The issuer is https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE.
		return tokenfile.Parse("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL29pZGMuZWtzLnVzLXdlc3QtMi5hbWF6b25hd3MuY29tL2lkL0VYQU1QTEUifQ.c2ln")
	}}
	for _, tt := range []struct {
		name string
		env  map[string]string
		set  string
		want string
	}{
		{"the setting", map[string]string{EnvRegion: "eu-west-1"}, "ap-south-1", "ap-south-1"},
		{"AWS_REGION", map[string]string{EnvRegion: " eu-west-1\n", EnvDefaultRegion: "eu-west-2"}, "", "eu-west-1"},
		{"AWS_DEFAULT_REGION", map[string]string{EnvDefaultRegion: "eu-west-2"}, "", "eu-west-2"},
		{"the token's issuer", nil, "", "us-west-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, errs := environmentOf(tt.env).Resolve(t.Context(), Config{RoleARN: roleARN, Token: issuer, Region: tt.set, Shared: &Shared{}})
			require.NoError(t, errs.Join())
			assert.Equal(t, tt.want, c.Region)
			assert.Equal(t, "https://sts."+tt.want+".amazonaws.com", c.URL())
		})
	}
}

func TestResolveReadsTokenOnlyForRegion(t *testing.T) {
	env := environmentOf(nil)
	env.Token = func(context.Context, *Config) (tokenfile.Token, error) { return tokenfile.Token{}, assert.AnError }
	env.Open = func(string) (fs.File, error) { return nil, assert.AnError }
	given := valid()
	_, errs := env.Resolve(t.Context(), given)
	assert.Empty(t, errs)
	given.Region = ""
	_, errs = env.Resolve(t.Context(), given)
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs.Join(), assert.AnError)
	assert.Equal(t, explain.HeadingRegion, errs[0].Heading)
}

func TestWarningsIncludeIgnoredVariablesAndRegionMismatch(t *testing.T) {
	env := environmentOf(map[string]string{EnvRegionalSTS: "Legacy", EnvEndpoint: "http://minio.example"})
	assert.Len(t, env.Warnings(&Config{Shared: &Shared{}}), 2)
	warnings := env.Warnings(&Config{Region: "us-west-2", Shared: &Shared{Endpoint: "https://sts.eu-west-1.amazonaws.com"}})
	require.Len(t, warnings, 2)
	assert.Contains(t, warnings[1], "belongs to eu-west-1, but the region is us-west-2")
}
