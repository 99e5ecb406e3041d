curl --silent --show-error --fail-with-body "$AWS_ENDPOINT_URL_STS/" \
	--data-urlencode Action=AssumeRoleWithWebIdentity \
	--data-urlencode Version=2011-06-15 \
	--data-urlencode "RoleArn=$AWS_ROLE_ARN" \
	--data-urlencode RoleSessionName=shell \
	--data-urlencode "WebIdentityToken@$AWS_WEB_IDENTITY_TOKEN_FILE"
