# An image with packages from a private index. The build mounts pip's configuration, which holds the password, as a BuildKit secret:
# it is in no layer, state, hash or log. A new password builds nothing.

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

  name = "greeter-api"
  image = {
    build = {
      context = "app"
      args    = { BASE_IMAGE = var.base_image }
      secrets = { pip_conf = { file = pathexpand(var.pip_config_file) } }
      labels  = { "org.opencontainers.image.revision" = var.revision }
    }
  }
  auth = { public = { reason = "Says hello to everybody and holds no data" } }
}
