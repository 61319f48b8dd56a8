# Two APIs under one domain: the first creates it and serves its root, the second joins it under /orders. In two roots of two teams it is
# the same, without depends_on.

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

  name  = "shared-api"
  image = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }
  auth  = { public = { reason = "Says hello to everybody and holds no data" } }
  api = {
    domain = {
      name            = var.domain
      certificate_arn = var.certificate_arn
      route53         = var.zone_id == null ? null : { zone_id = var.zone_id }
    }
  }
}

module "orders" {
  source = "../../modules/lambda_container_api"

  name     = "orders-api"
  image    = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }
  function = { environment = { ROOT_PATH = "/orders" } } # for the links in /docs: events do not contain the path
  auth     = { public = { reason = "Says hello to everybody and holds no data" } }
  api = {
    domain = {
      name      = var.domain
      base_path = "orders"
      existing  = true
    }
  }

  depends_on = [module.api]
}
