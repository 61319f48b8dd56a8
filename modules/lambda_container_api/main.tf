data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
  region     = data.aws_region.this.id

  # Built from names, so that the policies which use them are known at plan and scanners can read them.
  lambda_arn_prefix = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function"
  logs_arn_prefix   = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"
}
