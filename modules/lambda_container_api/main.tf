data "aws_caller_identity" "this" {}

data "aws_default_tags" "this" {}

data "aws_partition" "this" {}

data "aws_region" "this" {}

# The API's account and region, kept in state. With a `depends_on` on the module, Terraform defers its data sources whenever a
# dependency changes: names and policies built from them would be unknown, and resources would be replaced for their names.
# The first apply stores the data sources' values in `input`; `ignore_changes` keeps them from then on.
resource "terraform_data" "location" {
  input = {
    account_id = data.aws_caller_identity.this.account_id
    partition  = data.aws_partition.this.partition
    region     = data.aws_region.this.id
  }

  # A new name replaces every resource, possibly in another place.
  triggers_replace = [var.name]

  lifecycle {
    ignore_changes = [input]

    precondition {
      condition     = length(merge(data.aws_default_tags.this.tags, { for key, value in var.tags : key => value if value != null })) <= 50
      error_message = "tags must not exceed 50 with the provider's default_tags: AWS's limit per resource."
    }

    postcondition {
      condition     = self.input.region == data.aws_region.this.id && self.input.account_id == data.aws_caller_identity.this.account_id
      error_message = <<-EOT
        This API is deployed in region ${self.input.region} of account ${self.input.account_id}, but the AWS provider is in region ${data.aws_region.this.id} of account ${data.aws_caller_identity.this.account_id}:
        Terraform would lose track of the deployed resources, which would keep running. Point the provider back. For another region or account, use a state of its own.
      EOT
    }
  }
}

locals {
  account_id = terraform_data.location.input.account_id
  partition  = terraform_data.location.input.partition
  region     = terraform_data.location.input.region

  # Built from names, so that policies are known at plan and scanners can read them.
  lambda_arn_prefix = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function"
  logs_arn_prefix   = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group"
}
