provider "aws" {}

# Login for the push: the provider does not read Docker's credential store.
provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

# Clients already use the API's paths, each of which an old function serves. The routes listed here still go to their functions.
# `python -m migration inventory` writes `routes`, and `auth` if the old API has an authorizer (docs/migrating.md).
# Delete a line and apply, and the container serves that route. Restore it and apply, and the old function serves it again.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = "migrating-api"
  image = { build = { context = "../minimal/app" } }
  auth  = var.auth

  routes = merge(var.routes, { for key, arn in var.legacy_routes : key => {
    legacy = {
      function_arn           = arn
      payload_format_version = "1.0" # the format of REST APIs
    }
  } })
}
