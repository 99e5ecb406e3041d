# Prints the ARN of the caller, with the credentials of the AWS CLI in the argument. Old
# versions ignore AWS_ENDPOINT_URL_STS, so the endpoint of this call is explicit.
exec "$1" --endpoint-url "$AWS_ENDPOINT_URL_STS" sts get-caller-identity --query Arn --output text
