// Prints the ARN of the caller, with the credentials of the default chain or of the named
// provider of @aws-sdk/credential-providers. Old versions ignore AWS_ENDPOINT_URL_STS, so the
// endpoint of the last call is explicit.
const { STSClient, GetCallerIdentityCommand } = require("@aws-sdk/client-sts");
const providers = require("@aws-sdk/credential-providers");

async function main(provider) {
  const options = provider === "default chain" ? {} : { credentials: providers[provider]() };
  const credentials = await new STSClient(options).config.credentials();
  const client = new STSClient({ credentials, endpoint: process.env.AWS_ENDPOINT_URL_STS });
  console.log((await client.send(new GetCallerIdentityCommand({}))).Arn);
}

main(process.argv[2]).catch((error) => {
  console.error(String(error));
  process.exitCode = 1;
});
