# An image whose dependencies uv installs from a lock file. `uv add`, `uv lock --upgrade` and a commit change them; the build is in
# app/Dockerfile.

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

  name  = "uv-api"
  image = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }
}
