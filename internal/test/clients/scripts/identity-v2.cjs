// Prints the ARN of the caller, with the credentials of the default chain of version 2 of the
// SDK, which ignores AWS_ENDPOINT_URL_STS. The endpoint of this client is therefore explicit.
const AWS = require("aws-sdk");

new AWS.STS({ endpoint: process.env.AWS_ENDPOINT_URL_STS }).getCallerIdentity((error, identity) => {
  if (error) {
    console.error(String(error));
    process.exitCode = 1;
    return;
  }
  console.log(identity.Arn);
});
