# Packages of the operating system, and 520 MB of Python packages. A zip archive with its layers may have 250 MB unzipped, an image 10 GB:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
#
# A cold start imports the packages, which takes seconds: memory_mb also sets the share of CPU (a whole one at 1769 MB), and
# provisioned_concurrency or snap_start avoid it. Lambda limits initialisation to 10 s before it starts over.

provider "aws" {}

provider "docker" {
  registry_auth {
    address  = data.aws_ecr_authorization_token.this.proxy_endpoint
    username = data.aws_ecr_authorization_token.this.user_name
    password = data.aws_ecr_authorization_token.this.password
  }
}

data "aws_ecr_authorization_token" "this" {}

module "api" {
  source = "../../modules/lambda_container_api"

  name     = "trend-api"
  image    = { build = { context = "app", args = { BASE_IMAGE = var.base_image } } }
  function = { memory_mb = 2048, timeout_seconds = 29 }
  auth     = { public = { reason = "Computes with the numbers of the request and holds no data" } }
}
