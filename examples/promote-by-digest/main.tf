provider "aws" {}

# The image that a test environment has proved, by digest: its `image_uri` output. Nothing is built here, so no Docker engine is needed.
# Where it comes from another account's repository, that account's module call names this one in repository.pull_account_ids.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = "promoted-api"
  image = { uri = var.image_uri }
  auth  = { iam = {} }
}
