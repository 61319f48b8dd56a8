data "aws_caller_identity" "this" {}

data "aws_default_tags" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

# Where this API is deployed, kept in state. Under a `depends_on` of the module, Terraform defers its data sources whenever a
# dependency changes: names and policies made from them would be unknown then, and what a name identifies would be replaced.
# The first plan has the data sources' values in `input`; `ignore_changes` keeps them in every later one.
resource "terraform_data" "location" {
  input = {
    account_id = data.aws_caller_identity.this.account_id
    partition  = data.aws_partition.this.partition
    region     = data.aws_region.this.id
  }

  # Under a new name everything is made anew, and may be made elsewhere.
  triggers_replace = [var.name]

  lifecycle {
    ignore_changes = [input]

    precondition {
      condition     = length(merge(data.aws_default_tags.this.tags, { for key, value in var.tags : key => value if value != null })) <= 50
      error_message = "tags must not exceed 50, the provider's default_tags included: AWS's limit for a resource."
    }

    postcondition {
      condition     = self.input.region == data.aws_region.this.id && self.input.account_id == data.aws_caller_identity.this.account_id
      error_message = <<-EOT
        This API is deployed in region ${self.input.region} of account ${self.input.account_id}, and the AWS provider is in region ${data.aws_region.this.id} of account ${data.aws_caller_identity.this.account_id}:
        what is deployed there would be forgotten, and go on running. Point the provider back; a deployment in another region or account has a state of its own.
      EOT
    }
  }
}

locals {
  account_id = terraform_data.location.input.account_id
  partition  = terraform_data.location.input.partition
  region     = terraform_data.location.input.region

  # Built from names, so that the policies which use them are known at plan and scanners can read them.
  lambda_arn_prefix = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function"
  logs_arn_prefix   = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"
}
