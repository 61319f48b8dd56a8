provider "aws" {}

# The image that passed in a test environment, by digest: that environment's `image_uri` output. Nothing is built here, so no Docker
# engine is needed. If the repository is in another account, its module call must list this account in repository.pull_account_ids.
module "api" {
  source = "../../modules/lambda_container_api"

  name  = "promoted-api"
  image = { uri = var.image_uri }
  auth  = { iam = {} }
}
