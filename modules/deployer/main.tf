data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

locals {
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
  region     = data.aws_region.this.id

  # Everything of this module is under one IAM path, so that one statement keeps the apply role away from all of it.
  path       = "/${var.name}/"
  role_names = { apply = "${var.name}-apply", plan = "${var.name}-plan" }

  # Built from names, so that policies are known at plan and scanners can read them.
  iam_arn_prefix = "arn:${local.partition}:iam::${local.account_id}"
}
