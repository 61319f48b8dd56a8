# A function and its alias, as the module releases them, without an image that could be invoked.
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}

variable "name" {
  type = string
}

variable "source_text" {
  type    = string
  default = "first"
}

variable "release_version" {
  type    = number
  default = null
}

variable "canary_percent" {
  type    = number
  default = 0
}

variable "seconds" {
  type    = number
  default = 0
}

resource "aws_lambda_function" "this" {
  function_name = var.name
  role          = "arn:aws:iam::000000000000:role/${var.name}"
  package_type  = "Image"
  image_uri     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/people:1"
  publish       = true

  environment {
    variables = { SOURCE = var.source_text }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.this.function_name
  function_version = var.release_version == null ? aws_lambda_function.this.version : tostring(var.release_version)

  dynamic "routing_config" {
    for_each = var.canary_percent > 0 ? [var.canary_percent / 100] : []

    content {
      additional_version_weights = { (aws_lambda_function.this.version) = routing_config.value }
    }
  }
}

# Holds the state's lock for some seconds.
resource "terraform_data" "slow" {
  count = var.seconds > 0 ? 1 : 0

  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}

output "alias_arn" {
  value = aws_lambda_alias.live.arn
}

output "alarm_arns" {
  value = { errors = "arn:aws:cloudwatch:eu-central-1:000000000000:alarm:${var.name}" }
}

output "newest_version" {
  value = aws_lambda_function.this.version
}
