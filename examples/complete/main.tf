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

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  # Built from names, so that the function's policy is known at plan and scanners can read it.
  table_name = "${var.name}-data"
  table_arn  = "arn:${data.aws_partition.this.partition}:dynamodb:${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}:table/${local.table_name}"
}

module "api" {
  source = "../../modules/lambda_container_api"

  name = var.name

  image = {
    build = {
      context    = "../../service"
      dockerfile = "../Dockerfile"
      args       = { BASE_IMAGE = var.base_image }
      log_file   = "build.log"
    }
  }

  function = {
    memory_mb       = 1024
    timeout_seconds = 10
    tracing         = true
    environment = {
      TABLE_NAME   = aws_dynamodb_table.this.name
      SCOPE_PREFIX = "people" # Cognito resource server of the scopes, as in people/users:read
    }
  }

  auth = {
    jwt = {
      issuer   = var.jwt_issuer
      audience = [var.jwt_audience]
    }
  }

  # Platforms and browsers send no token here.
  routes = { for path in ["/docs", "/docs/assets/{file}", "/healthz", "/openapi.json", "/readyz", "/version"] : "ANY ${path}" => {
    auth = { public = { reason = "Health, version and documentation hold no data" } }
  } }

  permissions = {
    statements = [{
      sid = "Table"
      actions = [
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
      ]
      resources = [local.table_arn]
    }]
  }

  tags = { service = var.name }
}

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:Encrypted with the AWS managed key; where a policy requires a customer managed key, set kms_key_arn
  name         = local.table_name
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"
  range_key    = "sk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  # Idempotency keys expire a day after they are created.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  deletion_protection_enabled = true

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled = true
  }

  tags = { service = var.name }
}
