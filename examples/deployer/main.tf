# Once per account, by an administrator, before any pipeline runs: README.md says how.
provider "aws" {}

module "deployer" {
  source = "../../modules/deployer"

  # people-api and its previews, such as people-api-42.
  apis = ["hello-api", "people-api", "people-api-*"]

  trust = {
    github = {
      repository = var.repository
      plan       = { branches = ["main"], pull_requests = true }
      apply      = { environments = ["production"] }
    }
  }

  # Of examples/complete: its functions use a table, which its root creates.
  function_actions = ["dynamodb:*"]

  permissions = {
    statements = [
      {
        sid       = "ReadTables"
        plan      = true
        actions   = ["dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource"]
        resources = [local.tables]
      },
      {
        sid       = "Tables"
        actions   = ["dynamodb:CreateTable", "dynamodb:DeleteTable", "dynamodb:TagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive"]
        resources = [local.tables]
      },
    ]
  }

  tags = { service = "deployer" }
}

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  tables = "arn:${data.aws_partition.this.partition}:dynamodb:${data.aws_region.this.id}:${data.aws_caller_identity.this.account_id}:table/people-api*-data"
}
