# Prints the ARN of the caller, with the credentials of boto3's default chain.
import os

import boto3

# Old versions ignore AWS_ENDPOINT_URL_STS, so the endpoint of this client is explicit.
sts = boto3.client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"])
print(sts.get_caller_identity()["Arn"])
