provider "aws" {}

# The login for the push. Docker's own credential store is not read by the provider.
provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

# The API's paths are known to its clients already; behind them stand one-operation functions. Each route named here still goes to
# its old function. Delete a line, apply, and the container serves that route; put it back, apply, and the old function does.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = "migrating-api"
  image = { build = { context = "../minimal/app" } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }

  routes = { for key, arn in var.legacy_routes : key => {
    legacy = {
      function_arn           = arn
      payload_format_version = "1.0" # as functions written for a REST API expect it
    }
  } }
}
