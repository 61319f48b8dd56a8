provider "aws" {}

provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

module "api" {
  source = "../../modules/lambda_container_api"

  name  = "hello-api"
  image = { build = { context = "app" } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }
}

output "endpoint" {
  description = "HTTPS URL of the API, without a trailing slash."
  value       = module.api.endpoint
}
