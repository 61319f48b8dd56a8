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

locals {
  name = var.preview == null ? "parcels-${var.environment}" : "pr-${var.preview}-parcels-${var.environment}"
  # dev builds; the other environments run, by digest, the image that dev built.
  builds = var.environment == "dev"
}

module "api" {
  source = "../../modules/lambda_container_api"

  name = local.name
  image = {
    build = local.builds ? { context = "../minimal/app", source_hash = var.source_hash } : null
    uri   = local.builds ? null : var.image_uri
  }
  auth = { public = { reason = "Says hello to everybody and holds no data" } }

  function = { memory_mb = var.memory_mb }
  alarms   = var.preview == null ? { actions = var.alarm_topic_arns } : null

  # A preview's images are deleted with it. The other accounts pull from dev's repository.
  repository = { force_delete = var.preview != null, pull_account_ids = var.pull_account_ids }

  # The role that applies previews makes roles with a boundary of its own.
  permissions = { boundary_arn = var.preview == null ? var.permissions_boundary_arn : var.preview_permissions_boundary_arn }

  release = {
    version        = var.release_version
    canary_percent = var.canary_percent
    smoke          = { path = "/healthz", status = 200 }
  }

  tags = { service = "parcels", environment = var.environment }
}
