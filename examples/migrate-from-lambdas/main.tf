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
  routes = merge(var.routes, { for key, arn in var.legacy_routes : key => {
    legacy = {
      function_arn           = arn
      payload_format_version = "1.0" # the format of REST APIs
    }
  } })

  # Built from names, so that the function's policy is known at plan and scanners can read it.
  table_name   = "${var.name}-data"
  table_prefix = "arn:${data.aws_partition.this.partition}:dynamodb:${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}:table"
}

# Clients already use the API's paths, each of which an old function serves. The routes listed here still go to their functions.
# `python -m migration inventory` writes `routes`, and `auth` if the old API has an authorizer (docs/migrating.md).
# Add a route to `moved` and apply, and the container serves it. Remove it and apply, and the old function serves it again.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = var.name
  image = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }
  auth  = var.auth

  routes = { for key, route in local.routes : key => route if !contains(var.moved, key) }

  function = {
    memory_mb       = 1024
    timeout_seconds = 29 # some of the old functions take as long as API Gateway waits
    environment = {
      DATA_PHASE      = var.data_phase
      USERS_TABLE     = var.old_tables.users
      CUSTOMERS_TABLE = var.old_tables.customers
      TABLE_NAME      = aws_dynamodb_table.this.name
      ISSUER          = var.issuer
      KEYS_URL        = var.keys_url
    }
  }

  permissions = {
    statements = [{
      sid = "Tables"
      actions = [
        "dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
      ]
      resources = [for name in [var.old_tables.users, var.old_tables.customers, local.table_name] : "${local.table_prefix}/${name}"]
    }]
  }

  tags = { service = var.name }
}

# The new table, with the layout of the reference service (examples/complete). It is empty until the phase `copy`.
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

  # Idempotency keys of the reference service expire a day after they are created.
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
